"""Values of a seller's own metrics: weighted sums, divided where there is a divisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.money import minor_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.formulas import Weighted


def weighted_values(
    formula: Weighted, sums: Callable[[str], Sequence[int]], currency: str
) -> tuple[list[Any], dict[int, str]]:
    """Return the value of each row, and why it is None where it is.

    Args:
        formula: weighted base measures over weighted base measures.
        sums: gives a base measure's sum in each row; money in minor units.
        currency: whose minor units these are.
    """
    values = _weighted(formula.numerator, sums)
    if not formula.divisor:
        return values, {}
    # Money below the line is in minor units like all money; the value is of major ones.
    lift = 10 ** minor_digits(currency) if formula.money < 0 else 1
    reasons: dict[int, str] = {}
    for index, bottom in enumerate(_weighted(formula.divisor, sums)):
        values[index] = values[index] * lift / bottom if bottom else None
        if not bottom:
            reasons[index] = "zero_divisor"
    return values, reasons


def _weighted(terms: Sequence[tuple[float, str]], sums: Callable[[str], Sequence[int]]) -> list[Any]:
    columns = [[factor * value for value in sums(name)] for factor, name in terms]
    return [sum(values) for values in zip(*columns, strict=True)]
