"""The board on Kafka: reads what the workers write, whole flushes only, and answers from columns in memory.

It has no state of its own and no group: at its start it reads the state and facts topics of all partitions to their
end, then it follows them. When the broker goes away it goes on from where it was as soon as the broker is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

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
    from streams.wire import StateRecord

logger = logging.getLogger(__name__)

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
        self._vouching: deque[tuple[int, dict[tuple[int, str], int]]] = deque()
        self._loading: str | None = "loading: nothing read yet"
        self._alerts: dict[str, Alert] = {}
        self._changed = asyncio.Event()
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
        self._archiver = Archiver(self.columns, self._folder, self.now_ms)

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

    def now_ms(self) -> int:
        """Return the wall clock, on a replay the player's recorded time."""
        if not self.replay_id:
            return self._clock()
        # Before the player's first tick: the newest record that is folded, so that no screen shows 1970.
        return self._replay_now_ms or max(
            (position.last_timestamp_ms for _, position in self.columns.positions()), default=0
        )

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
        faults = [f"history: {fault}" for _, fault in sorted(self._folder.faults.items())]
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
                case STATE.name:
                    await self._put(tp.partition, STATE.name, decode_state, records)
                case FACTS.name:
                    await self._put(tp.partition, FACTS.name, decode_fact, records)
                case ALERTS.name:
                    self._take_alerts(records)
                case _:
                    self._replay_now_ms = max(self._replay_now_ms, decode_clock(records[-1].value))
        for partition in {tp.partition for tp in fetched}:
            flush = self._assemblers[partition].take() if partition in self._assemblers else None
            if flush is not None:
                self.columns.apply(flush)
        self._changed.set()

    async def _put(
        self,
        partition: int,
        topic: str,
        decode: Callable[[bytes, bytes | None], StateRecord],
        records: list[Any],
    ) -> None:
        decoded = await asyncio.to_thread(lambda: [decode(record.key, record.value) for record in records])
        assembler = self._assemblers[partition]
        for record in decoded:
            assembler.put(topic, record)

    def _take_alerts(self, records: Iterable[Any]) -> None:
        for record in records:
            alert_id = record.key.decode("utf-8", "replace")
            if record.value is None:
                self._alerts.pop(alert_id, None)
            else:
                self._alerts[alert_id] = decode_alert(record.value)

    async def _look_whether_loaded(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        missing = [tp for tp in self._tps if await consumer.position(tp) < ends[tp]]
        torn = [one.partition for one in self._assemblers.values() if one.given < one.seen]
        if missing or torn:
            read = sum([min(await consumer.position(tp), ends[tp]) for tp in self._tps])
            self._loading = f"loading: {read} of {sum(ends.values())} offsets of state read"
        else:
            self._archiver.begin()
            self._loading = None
            logger.info("The board holds everything up to its start.")

    async def _watch_lag(self) -> None:
        while True:
            now_ms = self._replay_now_ms
            positions = {
                (p, position.topic): position.next_offset for p, position in self.columns.positions()
            }
            if await self._lag.look(positions):
                self.columns.mark_lagging(self._lag.lagging)
                self._vouch(now_ms)
                self._changed.set()
            await asyncio.sleep(LAG_EVERY_S / 4 if self.replay_id else LAG_EVERY_S)

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
        folded = {(p, position.topic): position.next_offset for p, position in self.columns.positions()}
        while self._vouching:
            vouched_ms, ends = self._vouching[0]
            if not all(folded.get(at, 0) >= end or at not in self._lag.lagging for at, end in ends.items()):
                return
            self.columns.vouch(vouched_ms)
            self._vouching.popleft()
