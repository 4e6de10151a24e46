"""What a check found: fine, worth a look, or in the way; with what it means and how to mend it.

`warroom doctor` and `warroom preflight` are lists of findings; a list with one that is in the way ends in NO-GO.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_READY: Final = 6
"""Exit code of a command whose findings hold one that is in the way."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Worth a look; the day can go on without it."""
    BAD = "bad"
    """In the way: NO-GO."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: stable name, `goal`, `source:orders`; unique in one list together with `shop_id`.
        level: see there.
        said: what was found, one sentence for a person; foreign text in it is cleaned.
        mend: what to do about it; empty where nothing is to be done.
        shop_id: whose; empty where it is about the process or the machine.
    """

    check: str
    level: Level
    said: str
    mend: str = ""
    shop_id: str = ""

    @property
    def text(self) -> str:
        """Return the line that a person reads."""
        shop = f"{self.shop_id} " if self.shop_id else ""
        mend = f" -> {self.mend}" if self.mend else ""
        return f"{self.level.value:4} {shop}{self.check}: {self.said}{mend}"


def ok(check: str, said: str, *, shop_id: str = "") -> Finding:
    """Return a finding that is fine."""
    return Finding(check, Level.OK, said, "", shop_id)


def warn(check: str, said: str, mend: str = "", *, shop_id: str = "") -> Finding:
    """Return a finding that is worth a look."""
    return Finding(check, Level.WARN, said, mend, shop_id)


def bad(check: str, said: str, mend: str = "", *, shop_id: str = "") -> Finding:
    """Return a finding that is in the way."""
    return Finding(check, Level.BAD, said, mend, shop_id)


def may_go(findings: Iterable[Finding]) -> bool:
    """Return whether nothing is in the way."""
    return all(finding.level is not Level.BAD for finding in findings)
