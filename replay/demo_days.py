"""The days that the demo plays: a generated campaign day with its history, or real orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from replay.clock import local_instant_ms
from replay.generator.scenario import DEFAULT_DAY, generate
from replay.recording import Recording
from streams.days import BusinessCalendar, day_label, parse_day

if TYPE_CHECKING:
    from replay.generator.parameters import Scenario

REAL_DAYS: Final = Path(__file__).parent / "recordings" / "online-retail-2010-11"


@dataclass(frozen=True, slots=True)
class Day:
    """What the demo plays.

    Attributes:
        today: played from `from_ms` on, None is its beginning.
        history: recordings loaded before, each up to its end or to `from_ms`.
        open_ms: records up to here go at top speed; the screen opens when they are folded.
    """

    today: Recording
    history: tuple[Recording, ...]
    from_ms: int | None
    open_ms: int


def generated_day(folder: Path, seed: int, start: str) -> Day:
    """Generate the campaign day, the day before it and the reference day that its campaign names."""
    day = parse_day(DEFAULT_DAY)
    recordings = []
    days: tuple[tuple[str, int, Scenario], ...] = (
        ("reference", day - 7, "ordinary_day"),
        ("yesterday", day - 1, "ordinary_day"),
        ("today", day, "campaign_day"),
    )
    for name, ordinal, scenario in days:
        generate(folder / name, seed=seed, day=day_label(ordinal), scenario=scenario)
        recordings.append(Recording.open(folder / name))
    *history, today = recordings
    timezone = next(iter(today.shops.values())).timezone
    return Day(today, tuple(history), None, local_instant_ms(f"{DEFAULT_DAY}T{start}", timezone))


def real_day() -> Day:
    """Take the last day of the committed real orders, from its first; the days before it are history."""
    recording = Recording.open(REAL_DAYS)
    calendar = BusinessCalendar(next(iter(recording.shops.values())).timezone)
    last = calendar.day_of(recording.span_ms()[1])
    from_ms = calendar.day_start_ms(last)
    first = next(recording.lines(from_ms=from_ms))
    return Day(recording, (recording,), from_ms, first.timestamp_ms)
