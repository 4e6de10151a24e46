"""A real Apache Kafka for tests: one KRaft node as a process, from jars, on free loopback ports, with its own data.

It can be stopped and started again with the same data and the same port, which is what a broker outage is.
Jars are taken from `KAFKA_LIBS_DIR`, else from `.cache/kafka/libs` of the checkout.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.processes import answers, free_port

if TYPE_CHECKING:
    from types import TracebackType

REPOSITORY: Final = Path(__file__).resolve().parent.parent
CLUSTER_ID: Final = "d2Fycm9vbS10ZXN0cy0wMQ"
START_TIMEOUT_S: Final = 60.0
HEAP: Final = "-Xmx768m"

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.network.threads=2
num.io.threads=4
num.partitions=1
auto.create.topics.enable=false
delete.topic.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
min.insync.replicas=1
group.initial.rebalance.delay.ms={delay_ms}
group.min.session.timeout.ms=1000
message.max.bytes=10485760
log.cleaner.dedupe.buffer.size=16777216
"""


class KafkaMissingError(RuntimeError):
    """Java or the jars are not there; the message says the one line that gets them."""


class KafkaBroker:
    """One broker with its data directory; use as a context manager.

    Args:
        directory: its data, kept; one of its own by default, removed at the end.
        delay_ms: the first member of a group waits so long for others. Kafka's own default is 3,000.
    """

    def __init__(self, directory: Path | None = None, *, delay_ms: int = 0) -> None:
        self._delay_ms = delay_ms
        self._own = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="warroom-kafka-"))
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        self._controller = self.port
        while self._controller == self.port:
            self._controller = free_port()
        self._libs = libs()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.format()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(gently=False)
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def format(self) -> None:
        """Write the properties and format the storage of a new node."""
        (self.directory / "server.properties").write_text(
            PROPERTIES.format(
                port=self.port,
                controller=self._controller,
                data=self.directory / "data",
                delay_ms=self._delay_ms,
            ),
            encoding="utf-8",
        )
        subprocess.run(
            [
                *self._java("-Xmx128m"),
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                CLUSTER_ID,
                "--config",
                str(self.directory / "server.properties"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_TIMEOUT_S,
        )

    def start(self) -> None:
        """Start the node, also after `stop`, and wait until it answers."""
        with (self.directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(HEAP), "kafka.Kafka", str(self.directory / "server.properties")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if answers(self.port):
                return
            time.sleep(0.1)
        tail = (self.directory / "broker.log").read_text(errors="replace")[-2000:]
        self.stop(gently=False)
        message = f"Kafka did not start within {START_TIMEOUT_S:.0f} s: {tail}"
        raise RuntimeError(message)

    def stop(self, *, gently: bool = True) -> None:
        """Stop the node; its data stays, `start` brings it back."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)

    def _java(self, heap: str) -> list[str]:
        # A test run that is itself killed must leave nothing behind.
        guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        return [*guard, "java", heap, "-XX:+UseG1GC", "-cp", f"{self._libs}/*"]


def libs() -> Path:
    """Return the directory with Kafka's jars.

    Raises:
        KafkaMissingError: no Java or no jars.
    """
    directory = Path(os.environ.get("KAFKA_LIBS_DIR") or REPOSITORY / ".cache" / "kafka" / "libs")
    if shutil.which("java") is None:
        message = "Java is missing: run `apt-get install -y default-jre-headless`."
        raise KafkaMissingError(message)
    if not any(directory.glob("kafka_2*.jar")):
        message = f"Kafka's jars are not in {directory}: run `make tools`."
        raise KafkaMissingError(message)
    return directory
