"""Run a worker: one process of the consumer group, from start to an exit code.

    python -m agents.worker --settings-json FILE     the way that tests and benchmarks start one

0 after SIGTERM or SIGINT with everything flushed; 75 when it must be started again (a flush failed, another worker has
its partitions, it stood still); 2, 4, 5 and 69 as in `streams.errors`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from agents import processes, topics
from agents.app import build_app
from agents.client_logs import throttle_client_logs
from agents.heap import GIVE_BACK_EVERY_S, give_back, use_one_heap
from agents.keeper import StateKeeper
from agents.lag import why
from agents.processes import BESIDE_PARENT, EXIT_TEMPORARY, end_with_parent
from agents.spill import allow_open_files
from agents.watchdog import LoopWatch, ProgressWatch
from streams.cubes import CUBES
from streams.errors import UnavailableError, WarRoomError
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from agents.transport import Consumer
    from streams.cubes import Cube

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0

GC_THRESHOLD: Final = 200_000
"""Objects per young collection. The worker keeps a bounded number of objects, of which none are in cycles; with the
interpreter's 700 the collector cost 10 to 40 % of the throughput (measured)."""


class Worker:
    """One worker in the running loop: `await start()`, `await wait()`, `await stop()`."""

    def __init__(
        self,
        settings: Settings,
        *,
        cubes: Sequence[Cube] | None = None,
        end: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare a worker.

        Args:
            settings: of the process.
            cubes: a subset, for measurements.
            end: called once when the process must end at once, with the exit code; default `os._exit`.
        """
        self.settings = settings
        self.keeper = StateKeeper(settings, self.fail, cubes=cubes)
        self.app = build_app(settings.kafka, self.keeper, self.keeper.offer)
        self._end = end or _end_process
        self._ended: asyncio.Future[int] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watch = ProgressWatch(settings.kafka.stall_after_ms)
        self._loop_watch = LoopWatch(settings.kafka.stall_after_ms, self._stalled)

    async def start(self) -> None:
        """Check the topics and join the group.

        Raises:
            TopicsError: the topics are not as they must be.
            UnavailableError: no broker answers.
        """
        throttle_client_logs()
        self._ended = asyncio.get_running_loop().create_future()
        await topics.check(self.settings)
        await self.app.start()
        self._tasks = [
            asyncio.create_task(self.keeper.run_flushes(), name="flushes"),
            asyncio.create_task(self._look(), name="watchdog"),
            asyncio.create_task(_give_back(), name="heap"),
            asyncio.create_task(self._watch_app(), name="app"),
        ]
        self._loop_watch.start()

    async def wait(self) -> int:
        """Return the exit code once the worker has ended by itself."""
        if self._ended is None:
            message = "the worker was not started"
            raise RuntimeError(message)
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Flush everything and leave the group."""
        for task in self._tasks:
            task.cancel()
        await self.keeper.revoke()
        self._loop_watch.stop()
        await self.app.stop()
        self.keeper.close()

    def fail(self, error: BaseException) -> None:
        """End the process: what is not flushed is folded again by whoever owns the partition next."""
        code = EXIT_TEMPORARY
        if isinstance(error, WarRoomError):
            code = error.exit_code
            logger.critical("%s Exit code %d.", error, code)
        else:
            logger.critical("The worker ends, exit code %d.", code, exc_info=error)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(code)
        self._end(code)

    def _stalled(self, message: str) -> None:
        logger.critical("%s The worker ends, exit code %d.", message, EXIT_TEMPORARY)
        self._end(EXIT_TEMPORARY)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        stall_after_ms = self.settings.kafka.stall_after_ms
        behind = True
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, stall_after_ms / 4000))
            self._loop_watch.beat()
            behind = await self._behind(default=behind)
            now_ms = int(loop.time() * 1000)
            wrong = self._watch.observe(now_ms, progress=self.keeper.progress, behind=behind)
            flush_ms = self.keeper.oldest_flush_ms(now_ms)
            if wrong is None and flush_ms >= stall_after_ms:
                wrong = f"A flush has taken {flush_ms / 1000:.0f} s."
            if wrong is not None:
                self._stalled(wrong)
                return

    async def _behind(self, *, default: bool) -> bool:
        """Return whether there is work; `default`, the last answer, when the broker does not say."""
        if not self.keeper.placed:
            return True
        consumer = cast("Consumer", self.app.consumer)
        timeout_s = self.settings.kafka.stall_after_ms / 4000
        try:
            async with asyncio.timeout(timeout_s):
                return await consumer.behind(self.keeper.folded)
        except Exception as error:
            # Whatever it is, the answer is not known, and time goes on.
            logger.warning(
                "Whether records wait to be folded is not known: %s. Asked again soon.", why(error)
            )
            return default

    async def _watch_app(self) -> None:
        await self.app.wait_until_stopped()
        reason = self.app.crash_reason
        if isinstance(reason, WarRoomError):
            self.fail(reason)
            return
        what = f"The consumer ended: {reason!r}."
        self.fail(UnavailableError(what, mend="Start the worker again."))


async def start(settings: Settings) -> Worker:
    """Start a worker inside the running loop, for `warroom up` and `warroom demo`."""
    use_one_heap()
    allow_open_files()
    worker = Worker(settings)
    await worker.start()
    tune_collector()
    return worker


def run(settings: Settings, *, cubes: Sequence[Cube] | None = None) -> int:
    """Run a worker in this process until it is told to end, and return the exit code."""
    use_one_heap()
    allow_open_files()
    try:
        return asyncio.run(_run(settings, cubes))
    except WarRoomError as error:
        logger.critical("%s Exit code %d.", error, error.exit_code)
        return error.exit_code


async def _give_back() -> None:
    while True:
        await asyncio.sleep(GIVE_BACK_EVERY_S)
        await asyncio.to_thread(give_back)


def tune_collector() -> None:
    """Keep the cyclic collector away from what lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 50)


async def _run(settings: Settings, cubes: Sequence[Cube] | None) -> int:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    worker = Worker(settings, cubes=cubes)
    if await _until(told, worker.start()):
        tune_collector()
        ended = asyncio.create_task(worker.wait())
        stopped = asyncio.create_task(told.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ended.result()
        ended.cancel()
    # A broker that does not answer must not hold a deployment up; what is not flushed will be folded again.
    deadline = threading.Timer(settings.kafka.shutdown_ms * 0.9 / 1000, _late)
    deadline.daemon = True
    deadline.start()
    await worker.stop()
    logger.info("The worker has flushed everything and left the group.")
    # Faust leaves threads and tasks behind that take seconds to find out that they are over.
    _end_process(0)
    return 0


async def _until(told: asyncio.Event, starting: Coroutine[object, object, None]) -> bool:
    """Await a start, but not longer than until told to end; return whether it started."""
    start_task = asyncio.create_task(starting)
    told_task = asyncio.create_task(told.wait())
    await asyncio.wait({start_task, told_task}, return_when=asyncio.FIRST_COMPLETED)
    told_task.cancel()
    if not start_task.done():
        # Half a start can be stopped like a whole one; Faust's tasks and threads are there in either case.
        start_task.cancel()
        await asyncio.wait({start_task})
        return False
    start_task.result()
    return True


def _late() -> None:
    logger.critical("The last flush did not end in time. Exit code %d.", EXIT_TEMPORARY)
    _end_process(EXIT_TEMPORARY)


def _end_process(code: int) -> None:
    """End without waiting for threads or tasks: none of them may write once a flush has failed."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    logging.shutdown()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a worker from a file with its settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m agents.worker", description=main.__doc__)
    parser.add_argument(
        "--settings-json", type=Path, required=True, help="the fields of streams.settings.Settings"
    )
    parser.add_argument("--cube", action="append", help="fold this cube alone; may be given more than once")
    parser.add_argument(
        "--processes", type=int, default=1, help="share the partitions between so many processes"
    )
    parser.add_argument("--log-level", default="INFO", help="of what is logged on standard error")
    parser.add_argument(BESIDE_PARENT, action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aiokafka", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings = msgspec.json.decode(options.settings_json.read_bytes(), type=Settings)
    if options.processes > 1:
        return processes.run(settings, options.processes, [f"--cube={name}" for name in options.cube or ()])
    if options.beside_parent:
        end_with_parent()
    cubes = [cube for cube in CUBES if cube.name in options.cube] if options.cube else None
    return run(settings, cubes=cubes)


if __name__ == "__main__":
    sys.exit(main())
