"""The fold: all state of one source partition, and what becomes of every record.

Pure and synchronous: a function of the records and of settings alone (design, decision 7). Traffic adds to cubes and
unites sketches; facts keep the latest of their key; every record ends in one outcome. `take_flush` gives what changed,
`restore` takes it back, and a partition that was restored goes on as if it had never stopped.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streams.coding import Coding
from streams.cube_set import CubeSet
from streams.cubes import CUBES, Cube, is_former
from streams.days import QUARTER_MS
from streams.decoding import Refusal
from streams.events import Fact
from streams.facts import Arrival, FactIndex
from streams.intake import TRAFFIC_TOPICS, read
from streams.kept_cubes import EMPTYING, KeptCubes
from streams.outcomes import Outcome
from streams.records import DEAD_LETTER_BYTES, DeadLetter, RecordBatch
from streams.repeats import RepeatWindow, hash_ids
from streams.settings import FoldSettings, ShopSettings
from streams.spill import MemoryFile, SpillFiles
from streams.state import CubeRow, FactRow, Flush, PeopleRow, Position, RepeatChunk, RowKey, StateRow
from streams.tally import Tally
from streams.topics import SOURCE_TOPICS
from streams.traffic import TrafficColumns
from streams.validation import LATEST_R_MS, Admission
from streams.wire import FlushMark, StateRecord


class PartitionState:
    """All state of one source partition number, over every source topic.

    Args:
        partition: the number.
        shops: settings by shop id; traffic and facts of other shops are refused.
        settings: what the fold of a record may depend on, besides the record itself.
        replay_id: the replay that this state belongs to, empty for live data; records of another one are refused.
        cubes: what traffic is added up by.
        spill: makes the files of what is seldom read; in memory by default.
    """

    def __init__(
        self,
        partition: int,
        *,
        shops: Mapping[str, ShopSettings],
        settings: FoldSettings,
        replay_id: str = "",
        cubes: Sequence[Cube] = CUBES,
        spill: SpillFiles = MemoryFile,
    ) -> None:
        self.partition = partition
        self._spill = spill
        self._settings = settings
        self._replay_id = replay_id
        self._coding = Coding(shops)
        self._admission = Admission(shops, settings, self._coding)
        self._tallies = {topic.name: Tally(topic.name) for topic in SOURCE_TOPICS}
        self._windows: dict[str, RepeatWindow] = {}
        self._facts = FactIndex(settings.allowed_lateness_ms, self._spill)
        self._cubes = CubeSet(cubes, self._coding, self._admission, settings, self._spill)
        self._kept = KeptCubes(cubes)
        self._dead_letters: list[DeadLetter] = []
        self._waiting_bytes = 0
        self._traffic_ms: dict[str, int] = {}
        self._rested_quarter = 0
        self._flushes = 0
        self._changed = False

    @property
    def changed(self) -> bool:
        """Tell whether there is something to flush: records were folded, or the cubes themselves changed."""
        return self._changed

    @property
    def waiting_bytes(self) -> int:
        """Return the bytes of the records whose bodies the next flush carries: facts and dead letters, as they came."""
        return self._waiting_bytes

    @property
    def deleting(self) -> bool:
        """Tell whether further flushes are due to delete what former cubes left."""
        return self._kept.pending

    @property
    def flushes(self) -> int:
        """Return the number of the last flush, 0 before the first one."""
        return self._flushes

    @property
    def newest_ms(self) -> int:
        """Return the greatest R of all topics, within what calendars can tell."""
        return min(max(tally.last_timestamp_ms for tally in self._tallies.values()), LATEST_R_MS)

    def next_offset(self, topic: str) -> int:
        """Return the first offset of a source topic that is not folded yet; 0 before the first record."""
        return self._tallies[topic].next_offset

    def positions(self) -> list[Position]:
        """Return how far every source topic is folded, and what became of its records, flushed or not."""
        return [tally.position() for tally in self._tallies.values()]

    def fold(self, batch: RecordBatch) -> None:
        """Fold the records of a batch; those below the position are skipped. Never raises for data."""
        tally = self._tallies[batch.topic]
        start = bisect.bisect_left(batch.offsets, tally.next_offset)
        if start == len(batch.offsets):
            return
        received_ms = np.asarray(batch.timestamps_ms, dtype=np.int64)
        intake = read(batch, start, self._replay_id)
        for index, refusal in intake.refusals:
            self._refuse(batch, index, refusal)
        if intake.traffic is not None:
            self._fold_traffic(batch, intake.traffic, received_ms)
        if intake.facts:
            self._fold_facts(batch, intake.facts)
        tally.next_offset = batch.offsets[-1] + 1
        tally.last_timestamp_ms = max(tally.last_timestamp_ms, int(received_ms[start:].max()))
        self._changed = True

    def take_flush(self) -> Flush | None:
        """Return everything that changed since the last flush, None when nothing did."""
        if not self._changed:
            return None
        self._flushes += 1
        self._cubes.advance(self.newest_ms)
        self._rest()
        letters, self._dead_letters = self._dead_letters, []
        self._waiting_bytes = 0
        rows, people = self._cubes.take_rows()
        if self._kept.pending:
            former_rows, former_people = self._kept.take_forgotten()
            rows += former_rows
            people += former_people
            for name in self._kept.begin_emptied(self._offsets(), self._whole_from_ms()):
                self._cubes.begin(name)
        cubes = self._kept.take_rows()
        self._changed = self._kept.pending
        return Flush(
            partition=self.partition,
            number=self._flushes,
            rows=rows,
            facts=self._facts.take_rows(),
            positions=self.positions(),
            repeats=[chunk for window in self._windows.values() for chunk in window.take_chunks()],
            dead_letters=letters,
            people=people,
            cubes=cubes,
        )

    def _rest(self) -> None:
        """Let cells rest once for each quarter hour of the traffic topic that is furthest behind of those that move.

        The greatest R of all topics would not do: a worker that catches up has read a small topic to its end long
        before a large one, and would let nothing rest until that has come there, too.
        """
        now = {topic: self._tallies[topic].last_timestamp_ms for topic in TRAFFIC_TOPICS}
        moved = [at_ms for topic, at_ms in now.items() if at_ms != self._traffic_ms.get(topic, 0)]
        self._traffic_ms = now
        quarter = min(moved) // QUARTER_MS if moved else self._rested_quarter
        if quarter != self._rested_quarter:
            self._rested_quarter = quarter
            self._cubes.rest()

    def unbuilt(self) -> list[CubeRow]:
        """Return the cubes of which something that came before they began is not rebuilt yet."""
        return self._kept.unbuilt()

    def hand_over(self, row: CubeRow, cells: Sequence[StateRow]) -> None:
        """Take over a piece of a rebuilt cube; the flush that carries its cells says so, too.

        Args:
            row: of the cube once this is handed over; `handed` rises, `begins` stays.
            cells: of records that came before `begins`, each with all of their people in `sketch`.

        Raises:
            ValueError: the piece was handed over before, or is of another rebuild.
        """
        known = self._kept.row(row.cube)
        if (
            known is None
            or row.begins != known.begins
            or row.handed <= known.handed
            or row.asked_ms != known.asked_ms
        ):
            msg = f"a piece of cube {row.cube} up to {row.handed} does not follow {known}"
            raise ValueError(msg)
        self._cubes.absorb(row.cube, cells)
        self._kept.put(row)
        self._changed = True

    def rebuild_anew(self, name: str, asked_ms: int) -> bool:
        """Delete all cells of a cube over the next flushes and let it begin anew; return False if that was done before.

        Args:
            name: of the cube.
            asked_ms: when that was asked for; what is not later than the last time is left alone.
        """
        known = self._kept.row(name)
        if known is None or asked_ms <= known.asked_ms:
            return False
        self._kept.forget(*self._cubes.stop(name))
        self._kept.put(
            known._replace(begins={}, since_ms=self._whole_from_ms(), handed=EMPTYING, asked_ms=asked_ms)
        )
        self._changed = True
        return True

    def restore(self, records: Iterable[StateRecord]) -> None:
        """Take over the state that a former owner of the partition has flushed; before the first `fold`.

        Args:
            records: what `wire.decode_state` and `wire.decode_fact` gave, of both topics in the order of each; of
                several records of a key the last holds.

        Raises:
            StateError: a row belongs to a cube that this state does not have, or cannot be read.
        """
        rows: dict[RowKey, StateRow] = {}
        people: dict[RowKey, PeopleRow] = {}
        chunks: dict[tuple[str, int, int], RepeatChunk] = {}
        facts: list[FactRow] = []
        cubes: dict[tuple[str, str], CubeRow] = {}
        for record in records:
            if isinstance(record, StateRow):
                rows[record.key] = record
            elif isinstance(record, PeopleRow):
                people[record.key] = record
            elif isinstance(record, FactRow):
                facts.append(record)
            elif isinstance(record, RepeatChunk):
                chunks[record.topic, record.generation, record.sequence] = record
            elif isinstance(record, Position):
                self._tallies[record.topic].restore(record)
            elif isinstance(record, CubeRow):
                cubes[record.cube, record.definition] = record
            elif isinstance(record, FlushMark):
                self._flushes = max(self._flushes, record.number)
        # R before rows: what is over by it was forgotten, and must not come back with the next event.
        self._cubes.advance(self.newest_ms)
        self._restore_cubes([row for row in rows.values() if row.events is not None], people, cubes.values())
        self._facts.restore(facts)
        for topic in {topic for topic, _, _ in chunks}:
            self._window(topic).restore(
                [chunk for chunk in chunks.values() if chunk.topic == topic and chunk.image is not None]
            )

    def _restore_cubes(
        self, rows: Sequence[StateRow], people: Mapping[RowKey, PeopleRow], cubes: Iterable[CubeRow]
    ) -> None:
        cubes = list(cubes)
        emptying = {row.cube for row in cubes if row.handed == EMPTYING and row.begins is not None}
        former = {
            row.key for row in rows if row.key.cube in emptying or is_former(row.key.cube, row.key.definition)
        }
        if former:
            self._kept.forget(
                (row for row in rows if row.key in former),
                (row for key, row in people.items() if key in former and row.image is not None),
            )
            rows = [row for row in rows if row.key not in former]
        filled = {row.key.cube for row in rows}
        is_new = self._kept.restore(cubes, filled, self._offsets(), self._whole_from_ms())
        for name in self._kept.emptying():
            self._cubes.stop(name)
        # A board must learn of both, also while no record comes.
        self._changed = is_new or self._kept.pending
        self._cubes.restore(rows, people)

    def _offsets(self) -> dict[str, int]:
        """Return the first offset that is not folded of every topic that was read."""
        return {name: tally.next_offset for name, tally in self._tallies.items() if tally.next_offset}

    def _whole_from_ms(self) -> int:
        """Return the event time from which a cube that begins now holds everything."""
        return self.newest_ms + self._settings.future_tolerance_ms

    def _fold_traffic(
        self, batch: RecordBatch, columns: TrafficColumns, received_ms: NDArray[np.int64]
    ) -> None:
        tally = self._tallies[batch.topic]
        traffic = self._coding.code(columns)
        received = received_ms[traffic.index]
        refused = self._admission.refused_rows(traffic, received)
        identity, occurred, shop = traffic.identity, traffic.occurred_ms, traffic.shop
        rows: NDArray[np.int64] | None = None
        if refused.any():
            self._refuse_rows(batch, columns, np.flatnonzero(refused).tolist())
            rows = np.flatnonzero(~refused)
            identity = [identity[row] for row in rows.tolist()]
            occurred, shop, received = occurred[rows], shop[rows], received[rows]
        if not identity:
            return
        late = received - occurred > self._settings.allowed_lateness_ms
        verdict = self._window(batch.topic).judge(hash_ids(identity), received, late)
        in_numbers = int(verdict.counted.sum())
        counted_late = int((verdict.counted & late).sum())
        tally.add(Outcome.COUNTED, in_numbers - counted_late)
        tally.add(Outcome.COUNTED_LATE, counted_late)
        tally.add(Outcome.DUPLICATE, len(identity) - in_numbers)
        tally.move(Outcome.COUNTED, Outcome.DUPLICATE, verdict.displaced[0])
        tally.move(Outcome.COUNTED_LATE, Outcome.DUPLICATE, verdict.displaced[1])
        for code in np.unique(shop).tolist():
            own = shop == code
            times = occurred[own]
            fresh = int((verdict.fresh & own).sum())
            tally.accept(self._coding.shops[code], int(times.min()), int(times.max()), fresh)
        if rows is None:
            taken = verdict.fresh
        else:
            taken = np.zeros(len(columns), dtype=np.bool_)
            taken[rows] = verdict.fresh
        if taken.any():
            self._cubes.add(traffic, taken)

    def _fold_facts(self, batch: RecordBatch, facts: Sequence[tuple[int, Fact]]) -> None:
        arrivals = []
        for index, event in facts:
            received_ms = batch.timestamps_ms[index]
            refusal = self._admission.refuse(
                str(event.shop_id), event.currency, event.occurred_at_ms, received_ms, traffic=False
            )
            if refusal is None:
                arrivals.append(Arrival(event, received_ms))
                self._waiting_bytes += len(batch.values[index] or b"")
            else:
                self._refuse(batch, index, refusal)
        if arrivals:
            self._facts.fold(batch.topic, arrivals, self._tallies)

    def _refuse_rows(self, batch: RecordBatch, columns: TrafficColumns, rows: Sequence[int]) -> None:
        """Refuse well-formed traffic, each record with its own reason."""
        for row in rows:
            index = int(columns.index[row])
            refusal = self._admission.refuse(
                columns.shop_ids[row],
                columns.currencies[row],
                int(columns.occurred_ms[row]),
                batch.timestamps_ms[index],
                traffic=True,
            )
            if refusal is None:
                msg = f"{batch.topic}/{batch.partition}/{batch.offsets[index]} is refused by its batch alone"
                raise AssertionError(msg)
            self._refuse(batch, index, refusal)

    def _refuse(self, batch: RecordBatch, index: int, refusal: Refusal) -> None:
        self._tallies[batch.topic].add(refusal.outcome)
        value = batch.values[index]
        self._waiting_bytes += 0 if value is None else min(len(value), DEAD_LETTER_BYTES)
        self._dead_letters.append(
            DeadLetter(
                topic=batch.topic,
                partition=batch.partition,
                offset=batch.offsets[index],
                timestamp_ms=batch.timestamps_ms[index],
                key=batch.keys[index],
                value=None if value is None else value[:DEAD_LETTER_BYTES],
                value_bytes=0 if value is None else len(value),
                value_sha256="" if value is None else hashlib.sha256(value).hexdigest(),
                outcome=refusal.outcome,
                detail=refusal.detail,
            )
        )

    def _window(self, topic: str) -> RepeatWindow:
        window = self._windows.get(topic)
        if window is None:
            settings = self._settings
            ids = settings.repeat_window_ids
            window = RepeatWindow(topic, settings.repeat_window_ms, ids, self._spill)
            self._windows[topic] = window
        return window
