"""The player: a recording onto the topics of a replay's own world (X-81), at any speed.

Every record carries the replay's id in a header and its recorded timestamp; its partition is that of its key. The clock
topic gets the recorded time every 30 s of it, and at the end, always after the broker has acknowledged everything that
is not later: a board that has folded what stands on the topics by then is complete up to that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from replay.clock import Pace
from replay.cursor import Cursor
from replay.routing import own_headers, route
from streams.errors import SettingsError, UnavailableError
from streams.topics import CLOCK, REPLAY_HEADER, encode_clock, full_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from replay.recording import Line, Recording
    from streams.settings import Settings

CLOCK_EVERY_MS: Final = 30_000
"""Recorded time between two records of the clock topic."""

_CHUNK: Final = 10_000
"""Lines prepared at once: a fetch's worth, and a tenth of a second of a thread's time."""

_BATCH_BYTES: Final = 512 << 10
_TICK_S: Final = 0.1
"""Least wall time between two looks for due lines: at high speed they travel in batches, not one by one."""


@dataclass(slots=True)
class PlayReport:
    """What was played.

    Attributes:
        records: sent and acknowledged, by topic without prefix.
        unread: lines that were not sent because no worker reads their topic, by the topic that they name.
        first_ms, last_ms: least and greatest R among the sent, 0 without any.
        clock_ms: the recorded time that was reached and vouched for.
        seconds: wall time.
        stopped: ended early because it was asked to.
    """

    records: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    first_ms: int = 0
    last_ms: int = 0
    clock_ms: int = 0
    seconds: float = 0.0
    stopped: bool = False

    @property
    def total(self) -> int:
        """Return how many records were sent."""
        return self.records.total()


@dataclass(frozen=True, slots=True)
class World:
    """What the player needs of the broker's side and may not import.

    Attributes:
        create: makes the replay's topics; awaited first.
        delete: removes them; awaited last, unless they are kept. It may wait for readers before it does.
        options: of the producer: addresses, security; empty means `kafka.bootstrap` in plain.
    """

    create: Callable[[], Awaitable[object]]
    delete: Callable[[], Awaitable[object]]
    options: Mapping[str, Any] = field(default_factory=dict)


async def play(
    recording: Recording,
    settings: Settings,
    world: World,
    *,
    speed: float | None,
    fast_until_ms: int | None = None,
    from_ms: int | None = None,
    to_ms: int | None = None,
    keep: bool = False,
    into_live: bool = False,
    progress: Callable[[PlayReport], None] | None = None,
    stop: asyncio.Event | None = None,
    wall_s: Callable[[], float] = time.monotonic,
) -> PlayReport:
    """Play a recording to Kafka.

    Args:
        recording: `Recording.rebased` first where its day is to be today.
        settings: with `replay_id` and its prefix.
        world: makes and removes the topics.
        speed: recorded seconds per second; None is as fast as the broker takes it.
        fast_until_ms: records with R <= this go as fast as possible, the rest at `speed`.
        from_ms: leaves out records with an R before it.
        to_ms: leaves out records with an R after it.
        keep: leave the topics at the end.
        into_live: without a replay id, send to the live topics; never creates or removes topics, writes no clock.
        progress: called about ten times a second and at the end.
        stop: ends the play early when set.
        wall_s: a monotonic clock in seconds.

    Raises:
        SettingsError: the live prefix without `into_live`.
        RecordingError: the recording cannot be read.
        UnavailableError: the broker cannot be reached, or does not take a record.
    """
    if not settings.replay_id and not into_live:
        what = f"A replay does not go into the live topics {settings.kafka.prefix}*."
        raise SettingsError(what, mend="Give it an id, or say --into-live if that is what you mean.")
    own_world = bool(settings.replay_id)
    try:
        if own_world:
            await world.create()
        player = _Player(recording, settings, world.options, progress, stop or asyncio.Event(), wall_s)
        return await player.run(speed, fast_until_ms, from_ms, to_ms)
    except KafkaError as error:
        what = f"The broker at {settings.kafka.bootstrap} failed during the replay: {error!r}."
        raise UnavailableError(what, mend="Start the replay again under another id.") from error
    finally:
        if own_world and not keep:
            await world.delete()


class _Player:
    """One run of a player; nothing of it outlives the run."""

    def __init__(
        self,
        recording: Recording,
        settings: Settings,
        options: Mapping[str, Any],
        progress: Callable[[PlayReport], None] | None,
        stop: asyncio.Event,
        wall_s: Callable[[], float],
    ) -> None:
        self._recording = recording
        self._kafka = settings.kafka
        self._replay_id = settings.replay_id
        self._header = [(REPLAY_HEADER, settings.replay_id.encode())] if settings.replay_id else []
        self._progress = progress
        self._stop = stop
        self._wall_s = wall_s
        self._report = PlayReport()
        servers = {"bootstrap_servers": settings.kafka.bootstrap.split(",")}
        # Idempotent where the broker can: a retried batch must not become repeats that the recording does not hold.
        self._producer = AIOKafkaProducer(
            **{**servers, **options},
            acks="all",
            enable_idempotence=settings.kafka.transactions,
            max_batch_size=_BATCH_BYTES,
        )

    async def run(
        self, speed: float | None, fast_until_ms: int | None, from_ms: int | None, to_ms: int | None
    ) -> PlayReport:
        started = self._wall_s()
        lines = self._recording.lines(from_ms=from_ms, to_ms=to_ms)
        try:
            await self._producer.start()
            # Opening unpacks the file: not on the loop, where worker and board may live too.
            cursor = await asyncio.to_thread(Cursor, lines)
            if fast_until_ms is not None:
                await self._send_paced(cursor, Pace(0, None, self._wall_s), until_ms=fast_until_ms)
            if cursor.next_ms is not None and not self._stop.is_set():
                begin_ms = cursor.next_ms if fast_until_ms is None else fast_until_ms
                await self._send_paced(cursor, Pace(begin_ms, speed, self._wall_s), until_ms=math.inf)
            self._report.stopped = self._stop.is_set() and cursor.next_ms is not None
            if not self._report.stopped:
                await self._tell_time(self._end_ms(to_ms))
        finally:
            with contextlib.suppress(KafkaError):
                await self._producer.stop()
        self._report.seconds = self._wall_s() - started
        if self._progress is not None:
            self._progress(self._report)
        return self._report

    def _end_ms(self, to_ms: int | None) -> int:
        """Return the time that the whole play vouches for: its last record's, or where it was asked to end."""
        _, end_ms = self._recording.span_ms()
        return end_ms if to_ms is None else max(self._report.last_ms, min(to_ms, end_ms))

    async def _send_paced(self, cursor: Cursor, pace: Pace, *, until_ms: float) -> None:
        """Send what is due until the lines end or the next is after `until_ms`, and tell the time."""
        sent: list[asyncio.Future[Any]] = []
        shown_s = self._wall_s()
        while not self._stop.is_set():
            due_ms = min(pace.now_ms(), until_ms)
            chunk = await asyncio.to_thread(cursor.take, due_ms, _CHUNK)
            # The next chunk is read while the broker takes this one.
            await _acknowledged(sent)
            sent = await self._send(chunk)
            nothing_left = cursor.next_ms is None or cursor.next_ms > until_ms
            reached_ms = cursor.reached_ms(due_ms)
            if nothing_left or reached_ms >= self._report.clock_ms + CLOCK_EVERY_MS:
                await _acknowledged(sent)
                sent = []
                await self._tell_time(reached_ms)
            if nothing_left:
                return
            if self._progress is not None and self._wall_s() - shown_s >= _TICK_S:
                shown_s = self._wall_s()
                self._progress(self._report)
            if len(chunk) < _CHUNK:
                await self._pause(pace, cursor.next_ms)
        await _acknowledged(sent)

    async def _pause(self, pace: Pace, line_ms: int | None) -> None:
        """Wait for the next line or the next clock tick, whichever comes first, or until stopped."""
        next_ms = self._report.clock_ms + CLOCK_EVERY_MS
        if line_ms is not None:
            next_ms = min(next_ms, line_ms) if self._report.clock_ms else line_ms
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(_TICK_S, min(pace.wait_s(next_ms), 1.0))):
                await self._stop.wait()

    async def _send(self, chunk: list[Line]) -> list[asyncio.Future[Any]]:
        batches = await asyncio.to_thread(self._batches, chunk)
        return [
            await self._producer.send_batch(batch, full_name(self._kafka.prefix, topic), partition=partition)
            for topic, partition, batch in batches
        ]

    def _batches(self, chunk: list[Line]) -> list[tuple[str, int, Any]]:
        """Pack lines into batches per partition; counts them as sent."""
        places: defaultdict[tuple[str, int], list[Line]] = defaultdict(list)
        report = self._report
        for line in chunk:
            place = route(line, self._kafka.partitions)
            if place is None:
                report.unread[line.topic] += 1
                continue
            places[place].append(line)
            report.records[place[0]] += 1
            report.first_ms = min(report.first_ms or line.timestamp_ms, line.timestamp_ms)
            report.last_ms = max(report.last_ms, line.timestamp_ms)
        return [
            (topic, partition, batch)
            for (topic, partition), found in places.items()
            for batch in self._packed(found)
        ]

    def _packed(self, lines: list[Line]) -> Iterator[Any]:
        batch = self._producer.create_batch()
        for line in lines:
            headers = self._header + own_headers(line) if line.headers else self._header
            record = {
                "timestamp": line.timestamp_ms,
                "key": line.key,
                "value": line.value,
                "headers": headers,
            }
            if batch.append(**record) is None:
                yield batch
                # An empty batch takes any one record, also one that is too large to count.
                batch = self._producer.create_batch()
                batch.append(**record)
        batch.close()
        yield batch

    async def _tell_time(self, now_ms: int) -> None:
        """Write the recorded time to the clock topic; it never goes back."""
        if now_ms <= self._report.clock_ms:
            return
        self._report.clock_ms = now_ms
        if self._replay_id:
            await self._producer.send_and_wait(
                full_name(self._kafka.prefix, CLOCK.name),
                value=encode_clock(now_ms),
                key=self._replay_id.encode(),
                partition=0,
                timestamp_ms=now_ms,
                headers=self._header,
            )


async def _acknowledged(sent: list[asyncio.Future[Any]]) -> None:
    if sent:
        await asyncio.gather(*sent)
