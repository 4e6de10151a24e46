"""The direct engine: a recording through the same core as the worker's, without a broker (design, decision 11).

It keeps all grains for the whole recording and archives nothing. It back-fills history, answers
`query --recording`, computes golden results, and judges whether Kafka would have said the same.
"""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from replay.engine import Engine
from streams.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.recording import Recording
    from streams.settings import Settings
    from streams.state import Flush

log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 16
"""Lines folded between two flushes: large batches fold fastest, and a chunk of long lines stays near 40 MB."""


def direct_flushes(
    recording: Recording,
    settings: Settings,
    *,
    until_ms: int | None = None,
    partitions: int = 1,
    first_partition: int = 0,
) -> Iterator[Flush]:
    """Fold a recording and yield what changed, flush by flush, in the order of R.

    Args:
        recording: lines in the order of R.
        settings: win over the recording's manifest where both name the shop; `fold` is widened to keep all of it.
        until_ms: folds only the records with R <= this: what was known then.
        partitions: over which keys are spread, as Kafka's default partitioner does.
        first_partition: number of the first state partition; history beside a live board needs numbers of its own.

    Raises:
        RecordingError: the recording cannot be read.
    """
    engine = Engine(recording, settings, partitions=partitions, first_partition=first_partition)
    lines = recording.lines(to_ms=until_ms)
    while chunk := list(islice(lines, _CHUNK)):
        engine.fold(chunk)
        yield from engine.flushes()
    for name, count in sorted(engine.unread.items()):
        log.warning("%d records of %s are of no type or topic that this version reads", count, name)


def load_columns(recording: Recording, settings: Settings, *, until_ms: int | None = None) -> Columns:
    """Fold a recording into columns, vouched for up to its end or to `until_ms`: what the query layer reads.

    Raises:
        RecordingError: the recording cannot be read.
    """
    columns = Columns(settings.with_shops(recording.shops))
    columns.named = tuple(recording.shops)
    refused: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for flush in direct_flushes(recording, settings, until_ms=until_ms):
        columns.apply(flush)
        for letter in flush.dead_letters:
            kind = letter.topic, str(letter.outcome)
            refused[kind] += 1
            examples.setdefault(kind, letter.detail)
    for kind, count in sorted(refused.items()):
        # What is left out of a number is said beside it: here nobody reads a dead-letter topic.
        log.warning("%d records of %s do not count, %s; the first: %s", count, *kind, examples[kind])
    _, last_ms = recording.span_ms()
    columns.vouch(last_ms if until_ms is None else min(until_ms, last_ms))
    return columns
