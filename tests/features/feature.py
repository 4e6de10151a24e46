"""A feature's test as data: what is asked, and a check of the answer that knows the figures from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.features.world import Rows, World

Ask = Callable[["World"], "Rows"]
Check = Callable[["World", "Rows"], None]


@dataclass(frozen=True)
class Feature:
    """One feature of a brief.

    Attributes:
        id: for example `S4-13`.
        ask: what answers it.
        check: fails when the answer is not right, or null.
    """

    id: str
    ask: Ask
    check: Check


FEATURES: Final[dict[str, Feature]] = {}


def feature(id: str, ask: Ask) -> Callable[[Check], Check]:
    """Register a check as that of a feature."""

    def taken(check: Check) -> Check:
        assert id not in FEATURES, f"{id} has two checks"
        FEATURES[id] = Feature(id, ask, check)
        return check

    return taken


def near(value: float | None, *, within: float = 0.0) -> Any:
    """Return what a figure must be: to the half cent, or within a share of it where people are estimated."""
    return (
        None if value is None else pytest.approx(value, rel=within or 1e-9, abs=0.0051 if not within else 1)
    )


def agree(
    rows: Rows,
    expected: Mapping[tuple[str, ...], Mapping[str, float | None]],
    by: tuple[str, ...],
    metrics: Iterable[str],
    *,
    within: float = 0.0,
) -> None:
    """Hold rows against figures: each key that has any is there, and nothing has more."""
    names = tuple(metrics)
    assert any(row[name] for row in expected.values() for name in names), "there is something to compare"
    found = {tuple(row[name] for name in by): row for row in rows}
    for key, row in expected.items():
        if any(row[name] for name in names):
            assert {name: found[key][name] for name in names} == {
                name: near(row[name], within=within) for name in names
            }, key
    for key, row in found.items():
        assert key in expected or not any(row[name] for name in names), key


def row_of(rows: Rows, **where: object) -> dict[str, Any]:
    """Return the one row with these values."""
    (found,) = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return found


def only(rows: Rows) -> dict[str, Any]:
    """Return the only row."""
    assert len(rows) == 1
    return rows[0]
