"""The recordings whose alerts are kept, and how they are rehearsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.clock import local_instant_ms
from replay.demo_days import generated_day
from replay.recording import Recording
from replay.rehearsal import Rehearsal, Wishes, rehearse
from streams.days import MINUTE_MS
from streams.settings import Settings

RECORDINGS: Final = Path(__file__).resolve().parents[2] / "replay" / "recordings"


@dataclass(frozen=True, slots=True)
class Case:
    """One rehearsal whose alerts are kept.

    Attributes:
        name: of its file, `<name>.toml`.
        what: for whoever reads the file.
        made: the recording and what is rehearsed beside it; takes a folder for what must be generated.
    """

    name: str
    what: str
    made: Callable[[Path], tuple[Recording, Wishes]]

    def rehearsed(self, scratch: Path) -> tuple[Rehearsal, str]:
        """Return what comes of it with the settings as they are by default, and the zone to read it in."""
        recording, wishes = self.made(scratch)
        return rehearse(recording, [Settings()], wishes)[0], next(iter(recording.shops.values())).timezone


def _as_recorded(folder: str) -> Callable[[Path], tuple[Recording, Wishes]]:
    return lambda _scratch: (Recording.open(RECORDINGS / folder), Wishes())


def _real_thursday(_scratch: Path) -> tuple[Recording, Wishes]:
    from_ms = local_instant_ms("2010-11-25T00:00", "Europe/London")
    return Recording.open(RECORDINGS / "online-retail-2010-11"), Wishes(from_ms=from_ms, stock_share=1.1)


def _generated_day(scratch: Path) -> tuple[Recording, Wishes]:
    day = generated_day(scratch, seed=1, start="00:00")
    # Two minutes apart: the whole day in bounded time; the command's default is one.
    return day.today, Wishes(history=day.history, every_ms=2 * MINUTE_MS)


CASES: Final = (
    Case(
        "online-retail-2010-11",
        "Four days of real orders and returns, as recorded.",
        _as_recorded("online-retail-2010-11"),
    ),
    Case(
        "online-retail-2010-11-with-stocks",
        "25 November 2010 of the same, with SIMULATED stocks of 110 % of what was sold that day.",
        _real_thursday,
    ),
    Case(
        "open-bandit-men",
        "Real impressions and clicks, nothing else, as recorded.",
        _as_recorded("open-bandit-men"),
    ),
    Case(
        "generated-day-1",
        "The demo's day, seed 1, with the day before and the reference day as history.",
        _generated_day,
    ),
)
