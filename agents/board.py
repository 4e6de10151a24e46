"""The board on Kafka: reads what the workers write, whole flushes only, and answers from columns in memory.

It has no state of its own and no group: at its start it reads the state and facts topics of all partitions to their
end, then it follows them. When the broker goes away it goes on from where it was as soon as the broker is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.archive import day_folder
from agents.archiver import Archiver
from agents.assembly import FlushAssembler
from agents.client_logs import throttle_client_logs
from agents.clients import client_options
from agents.lag import SourceLag
from streams.alerts import Alert, decode_alert
from streams.columns import Columns
from streams.errors import WarRoomError
from streams.topics import ALERTS, CLOCK, FACTS, STATE, decode_clock, full_name
from streams.wire import decode_fact, decode_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streams.board import Verdict
    from streams.settings import Settings
    from streams.state import Flush

logger = logging.getLogger(__name__)

T = TypeVar("T")

READ_BYTES: Final = 4 << 20
RETRY_S: Final = 1.0
LAG_EVERY_S: Final = 2.0

MOST_VOUCHING: Final = 32
"""Times of a replay's clock that wait for the fold to get there; further ones wait until these have."""


class KafkaBoard:
    """Implements `streams.board.Board`, `ReportsLag` and `KeepsHistory`: `await start()`, later `await stop()`.

    Args:
        settings: of the process.
        clock: wall clock in ms; on a replay the player's clock topic is "now" instead (X-79).
        badge: shown wherever numbers are shown, such as "synthetic".
    """

    def __init__(self, settings: Settings, clock: Callable[[], int], *, badge: str = "") -> None:
        self.settings = settings
        self.columns = Columns(settings)
        self.replay_id = settings.replay_id
        self.badge = badge
        self.failed: WarRoomError | None = None
        self.verdict: Verdict | None = None
        self._clock = clock
        self._replay_now_ms = 0
        self._folded_ms = 0
        self._vouching: deque[tuple[int, dict[tuple[int, str], int]]] = deque()
        self._loading: str | None = "loading: nothing read yet"
        self._alerts: dict[str, Alert] = {}
        self._changed = asyncio.Event()
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="columns")
        self._tasks: list[asyncio.Task[None]] = []
        self._next: dict[TopicPartition, int] = {}
        partitions = range(settings.kafka.partitions)
        self._assemblers = {partition: FlushAssembler(partition) for partition in partitions}
        prefix = settings.kafka.prefix
        self._names = {full_name(prefix, topic.name): topic.name for topic in (STATE, FACTS, ALERTS)}
        self._tps = [
            TopicPartition(full_name(prefix, topic.name), p) for topic in (STATE, FACTS) for p in partitions
        ]
        self._tps.append(TopicPartition(full_name(prefix, ALERTS.name), 0))
        if settings.replay_id:
            self._names[full_name(prefix, CLOCK.name)] = CLOCK.name
            self._tps.append(TopicPartition(full_name(prefix, CLOCK.name), 0))
        self._lag = SourceLag(settings.kafka)
        self._folder = day_folder(settings)
        self.columns.read_history(self._folder)
        self._archiver = Archiver(self.columns, self._folder, self.now_ms, self.in_turn)

    async def start(self) -> None:
        """Begin to read; `ready` says when everything up to now is in."""
        throttle_client_logs()
        self._tasks = [
            asyncio.create_task(self._read_for_ever(), name="board"),
            asyncio.create_task(self._watch_lag(), name="lag"),
        ]

    async def stop(self) -> None:
        """Stop reading; the columns stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lag.close()
        self._turns.shutdown(wait=False, cancel_futures=True)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do a piece of work with the columns, one at a time and beside the loop: see `streams.board.Board`."""
        return await asyncio.get_running_loop().run_in_executor(self._turns, work)

    def now_ms(self) -> int:
        """Return the wall clock, on a replay the player's recorded time."""
        if not self.replay_id:
            return self._clock()
        # Before the player's first tick: the newest record that is folded, so that no screen shows 1970.
        return self._replay_now_ms or self._folded_ms

    def ready(self) -> str | None:
        """Return None when everything up to the start is in, else what is missing."""
        return str(self.failed) if self.failed else self._loading

    def alerts(self) -> Sequence[Alert]:
        """Return alerts, newest first."""
        return sorted(self._alerts.values(), key=lambda alert: alert.updated_at_ms, reverse=True)

    def lag(self) -> int | None:
        """Return how many records the workers have still to fold; None while the broker does not say."""
        return self._lag.records

    def history_fault(self) -> str | None:
        """Return which days that were written down cannot be read, or why none can be written; None: all is well."""
        # A copy: a question beside the loop may find the next fault meanwhile.
        faults = [f"history: {fault}" for _, fault in sorted(dict(self._folder.faults).items())]
        if self._archiver.trouble is not None:
            faults.append(f"history: {self._archiver.trouble}")
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        return "; ".join(faults[:3]) + more if faults else None

    async def keep_history(self, may: Callable[[], bool]) -> None:
        """Write days down as they close, once everything up to the start is in, until cancelled."""
        while self._loading is not None:
            await self.changed(self.columns.version)
        await self._archiver.run(may)

    async def changed(self, since: int) -> int:
        """Wait until the columns are newer than `since`, and return their version."""
        while self.columns.version <= since:
            self._changed.clear()
            try:
                # Not for ever: whoever joins the rooms may load history into the columns beside this reader.
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return self.columns.version

    async def _read_for_ever(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                logger.warning("The board cannot read, and tries again: %r.", error)
            except WarRoomError as error:
                # State that this version cannot read: no number is better than a wrong one.
                logger.critical("The board stops reading. %s", error)
                self.failed = error
                return
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **client_options(self.settings.kafka),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=READ_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign(self._tps)
            ends = await consumer.end_offsets(self._tps)
            for tp in self._tps:
                if tp in self._next:
                    consumer.seek(tp, self._next[tp])
                else:
                    await consumer.seek_to_beginning(tp)
            while True:
                fetched = await consumer.getmany(timeout_ms=200)
                if fetched:
                    await self._take(fetched)
                for tp in fetched:
                    self._next[tp] = await consumer.position(tp)
                if self._loading is not None:
                    await self._look_whether_loaded(consumer, ends)
        finally:
            await asyncio.gather(consumer.stop(), return_exceptions=True)

    async def _take(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        for tp, records in fetched.items():
            match self._names[tp.topic]:
                case ALERTS.name:
                    self._take_alerts(records)
                case CLOCK.name:
                    self._replay_now_ms = max(self._replay_now_ms, decode_clock(records[-1].value))
        for flush in await asyncio.to_thread(self._assembled, fetched):
            # Each in a turn of its own: who asks meanwhile waits for one of them, not for all.
            await self.in_turn(partial(self._apply, flush))
        self._changed.set()

    def _assembled(self, fetched: dict[TopicPartition, list[Any]]) -> list[Flush]:
        """Decode what was fetched and return the flushes that are whole by now."""
        touched: dict[int, FlushAssembler] = {}
        for tp, records in fetched.items():
            topic = self._names[tp.topic]
            if topic not in (STATE.name, FACTS.name):
                continue
            assembler = touched[tp.partition] = self._assemblers[tp.partition]
            for record in records:
                if topic == STATE.name:
                    assembler.put(topic, decode_state(record.key, record.value))
                else:
                    assembler.put(topic, decode_fact(record.key, record.value))
        return [flush for assembler in touched.values() if (flush := assembler.take()) is not None]

    def _apply(self, flush: Flush) -> None:
        self.columns.apply(flush)
        for position in flush.positions:
            self._folded_ms = max(self._folded_ms, position.last_timestamp_ms)

    def _take_alerts(self, records: Iterable[Any]) -> None:
        # A new mapping, not a changed one: a question beside the loop may be going through the old one.
        alerts = dict(self._alerts)
        for record in records:
            alert_id = record.key.decode("utf-8", "replace")
            if record.value is None:
                alerts.pop(alert_id, None)
            else:
                alerts[alert_id] = decode_alert(record.value)
        self._alerts = alerts

    async def _look_whether_loaded(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        missing = [tp for tp in self._tps if await consumer.position(tp) < ends[tp]]
        torn = [one.partition for one in self._assemblers.values() if one.given < one.seen]
        if missing or torn:
            read = sum([min(await consumer.position(tp), ends[tp]) for tp in self._tps])
            self._loading = f"loading: {read} of {sum(ends.values())} offsets of state read"
        else:
            await self.in_turn(self._archiver.begin)
            self._loading = None
            logger.info("The board holds everything up to its start.")

    async def _watch_lag(self) -> None:
        while True:
            now_ms = self._replay_now_ms
            if await self._lag.look(await self.in_turn(self._positions)):
                await self.in_turn(partial(self._take_lag, now_ms))
                self._changed.set()
            await asyncio.sleep(LAG_EVERY_S / 4 if self.replay_id else LAG_EVERY_S)

    def _positions(self) -> dict[tuple[int, str], int]:
        return {(p, position.topic): position.next_offset for p, position in self.columns.positions()}

    def _take_lag(self, now_ms: int) -> None:
        self.columns.mark_lagging(self._lag.lagging)
        self._vouch(now_ms)

    def _vouch(self, now_ms: int) -> None:
        """Pass on what the player vouches for: everything up to its time, once what it had sent by then is folded.

        Args:
            now_ms: the player's time as it was before the ends of the source topics were looked up.
        """
        newest_ms = self._vouching[-1][0] if self._vouching else self.columns.vouched_ms
        if now_ms > newest_ms and len(self._vouching) < MOST_VOUCHING:
            self._vouching.append((now_ms, self._lag.unfolded_ends()))
        if self._loading is not None:
            return
        folded = self._positions()
        while self._vouching:
            vouched_ms, ends = self._vouching[0]
            if not all(folded.get(at, 0) >= end or at not in self._lag.lagging for at, end in ends.items()):
                return
            self.columns.vouch(vouched_ms)
            self._vouching.popleft()
