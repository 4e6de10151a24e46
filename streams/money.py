"""Money as a person reads it: minor units of a currency to major units, and short forms for messages.

Source: ISO 4217, minor units of each currency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_SYMBOLS: Final = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥"}
_STEPS: Final = ((1_000_000_000, "bn"), (1_000_000, "M"), (1_000, "k"))


def minor_digits(currency: str) -> int:
    """Return how many decimal digits the currency has; 2 where ISO 4217 says nothing else."""
    return _DIGITS.get(currency, 2)


def major(minor: float, currency: str) -> float:
    """Return an amount of minor units in major units, for example 4105 USD cents as 41.05."""
    return float(minor / 10.0 ** minor_digits(currency))


def majors(minors: Iterable[float | None], currency: str) -> list[float | None]:
    """Return amounts as `major` does, of a column at once; nothing stays nothing."""
    unit = 10.0 ** minor_digits(currency)
    return [None if minor is None else float(minor / unit) for minor in minors]


def to_minor(amount: float, currency: str) -> int:
    """Return an amount of major units in whole minor units, rounded to the nearest."""
    return round(amount * 10.0 ** minor_digits(currency))


def compact_money(minor: int, currency: str) -> str:
    """Return an amount short enough for a message: `$4.1k`, `£950`, `CHF 12k`."""
    amount = major(minor, currency)
    sign = "-" if amount < 0 else ""
    amount = abs(amount)
    text = f"{amount:.0f}"
    for step, letter in _STEPS:
        # 999.96k would print as 1000.0k: the step is taken at what rounding makes of the amount.
        if amount >= step * 0.9995:
            scaled = amount / step
            text = f"{scaled:.1f}{letter}" if scaled < 99.95 else f"{scaled:.0f}{letter}"
            break
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    return f"{sign}{symbol}{text}"
