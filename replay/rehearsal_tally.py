"""What the looks of each rule came to, and why a rule never fired."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streams.rule import Judgement, Reading, Rule
from streams.rulebook import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from streams.columns import Columns


@dataclass(slots=True)
class RuleTally:
    """What the looks of one rule came to.

    Attributes:
        looks, held: how often it was asked, and how often a stale feed held it.
        judgements: of its readings.
        nearest: value and threshold of the reading that came nearest to firing; None where it has no numbers.
        volume: the greatest volume, and the minimum that it fell short of; None where it has none.
    """

    looks: int = 0
    held: int = 0
    judgements: Counter[Judgement] = field(default_factory=Counter)
    nearest: tuple[float, float] | None = None
    volume: tuple[float, float] | None = None

    def take(self, reading: Reading) -> None:
        """Count one reading."""
        self.judgements[reading.judgement] += 1
        value, threshold = reading.value, reading.threshold
        # Equal and not firing: a level that is not known yet, such as 0 of 0.
        if value is not None and threshold not in (None, value) and reading.judgement is not Judgement.THIN:
            known = self.nearest
            if known is None or abs(value - threshold) < abs(known[0] - known[1]):
                self.nearest = value, threshold
        if reading.judgement is Judgement.THIN and reading.volume is not None and reading.minimum is not None:
            self.volume = max(self.volume or (0.0, 0.0), (reading.volume, reading.minimum))


@dataclass(frozen=True, slots=True)
class Quiet:
    """A rule that never fired, and why; `could` is False where nothing could have made it fire."""

    rule: str
    key: str
    could: bool
    why: str


_MISSING: Final = {
    "goal_behind": "no campaign with a goal",
    "goal_hit": "no campaign with a goal",
    "week_goal": "no goal of a week or a quarter",
    "disconnected": "no record of the shop's own",
}
"""What a rule that found nothing to look at would need."""


def quiet_rules(
    tallies: Mapping[str, RuleTally], columns: Columns, shops: Collection[str], *, listened: bool
) -> list[Quiet]:
    """Return the rules that never fired, and why.

    Args:
        tallies: by number of the rules that ran.
        columns: as they are at the end.
        shops: that were looked at.
        listened: feeds were judged by their heartbeats.
    """
    found = []
    for rule in RULES:
        tally = tallies.get(rule.number)
        if tally is None:
            found.append(Quiet(rule.number, rule.key, could=False, why="switched off by rules.off"))
        elif not tally.judgements[Judgement.FIRES]:
            could, why = _why(rule, tally, columns, shops, listened=listened)
            found.append(Quiet(rule.number, rule.key, could, why))
    return found


def _why(
    rule: Rule, tally: RuleTally, columns: Columns, shops: Collection[str], *, listened: bool
) -> tuple[bool, str]:
    """Return whether a rule that never fired could have, and why it did not."""
    missing = [
        topic for topic in rule.reads if all(columns.source_since_ms(shop, topic) is None for shop in shops)
    ]
    seen = tally.judgements
    if missing:
        return False, f"no source: {', '.join(missing)}"
    if rule.entity == "topic" and not listened:
        return False, "the recording has no heartbeats: its silence is taken for no events"
    if tally.looks and tally.held == tally.looks:
        return False, "held at every look: a feed that it reads was stale"
    if not seen:
        what = _MISSING.get(rule.key, f"no {rule.entity} that it could look at")
        return False, what
    if seen[Judgement.THIN] == seen.total():
        most = ""
        if tally.volume is not None:
            most = f", {tally.volume[0]:g} at most of {tally.volume[1]:g}"
        return False, f"below its minimum volume{most}"
    if seen[Judgement.HELD] == seen.total():
        return False, "a figure that it needs was never known"
    if tally.nearest is None:
        return True, "its condition never held"
    value, threshold = tally.nearest
    return True, f"nearest {value:.3g}, it fires at {threshold:.3g} {rule.unit}".rstrip()
