"""Start real servers for tests: on free loopback ports, in folders of their own, bounded, ended by their process id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

START_WITHIN_S: Final = 20.0
"""A server that does not answer by then has failed; its log is in the error."""

END_WITHIN_S: Final = 5.0
"""A server that has not ended after SIGTERM by then is killed."""

DEFAULT_PROMETHEUS_CONFIG: Final = "global: {scrape_interval: 1s}\n"


@dataclass(frozen=True, slots=True)
class Redis:
    """A running Redis."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str
    pid: int


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Return whether something accepts connections on the loopback port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def says_ready(url: str) -> bool:
    """Return whether the address answers with 200; a server that listens may still refuse while it loads."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    start_within_s: float = START_WITHIN_S,
    end_within_s: float = END_WITHIN_S,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends; it gets SIGTERM then, and SIGKILL when that does not end it.

    Args:
        command: program and arguments.
        log: takes its standard output and error.
        ready: asked until it is true; the block begins then.
        start_within_s: most seconds until then.
        end_within_s: most seconds from SIGTERM to SIGKILL.
    """
    program = shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is missing; run: make tools")
    # A test run that is itself killed must leave nothing behind.
    guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*guard, program, *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, ready, log, start_within_s)
        yield process
    finally:
        end(process, within_s=end_within_s)


def end(process: subprocess.Popen[bytes], *, within_s: float = END_WITHIN_S) -> None:
    """End one process, by force when it does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@contextmanager
def running_redis(folder: Path) -> Iterator[Redis]:
    """Run a Redis that keeps nothing on disk."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command += ["--dir", str(folder), "--maxmemory", "64mb"]
    with running(command, log=folder / "redis.log", ready=lambda: answers(port)) as process:
        yield Redis(f"redis://127.0.0.1:{port}/0", process.pid)


@contextmanager
def running_prometheus(folder: Path, config: str = DEFAULT_PROMETHEUS_CONFIG) -> Iterator[Prometheus]:
    """Run a Prometheus with the text of a configuration file."""
    port = free_port()
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    command += [
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=1h",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(
        command, log=folder / "prometheus.log", ready=lambda: says_ready(f"{url}/-/ready")
    ) as process:
        yield Prometheus(url, process.pid)


def _wait(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, start_within_s: float
) -> None:
    deadline = time.monotonic() + start_within_s
    while not ready():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            state = "it ended" if ended else f"no answer within {start_within_s:g} s"
            tail = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            pytest.fail(f"{process.args!r}: {state}\n{tail}")
        time.sleep(0.05)
