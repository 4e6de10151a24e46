"""A seller's own formula: text over catalogue ids, checked and brought into one sum over another.

`gmv / content_views * 1000` is parsed, every id is replaced by its own sums, and what comes out is weighted base
measures over weighted base measures. So an own rate is a sum over a sum at every aggregate (X-28), like the
catalogue's. What cannot be brought into that form is refused: the days of a table would not add up to its total.

    formula := term (("+" | "-") term)*      term := factor (("*" | "/") factor)*
    factor  := number | id | "-" factor | "(" formula ")"
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from streams.formulas import MEASURES, Ratio, Total
from streams.metric import Metric, Unit

MAX_LENGTH: Final = 500
MAX_DEPTH: Final = 40
"""Brackets within brackets: a parser that descends must not run out of stack for a settings file."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/()]))", re.ASCII
)
_NUMBER: Final = ""
"""Key of a number among the terms of a sum."""

_PEOPLE: Final = frozenset({Unit.PEOPLE, Unit.PERSON_DAYS})

Sum = dict[str, Fraction]
"""Measure -> factor; `_NUMBER` -> a number that stands alone. Never holds a factor of 0."""

Powers = dict[str, int]
"""Unit -> power; what cancels is not in it."""


class FormulaError(ValueError):
    """What is wrong with a formula, and what would work."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Quotient:
    """A formula brought into one sum over another.

    Attributes:
        up, down: what is summed before it is divided; `down` is a number alone where nothing is divided.
        powers: the unit.
        ids: catalogue ids it was written with, in the order of writing.
    """

    up: Sum
    down: Sum
    powers: Powers
    ids: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is a number alone."""
        return _is_number(self.up) and _is_number(self.down)


def read_formula(text: str, metrics: Mapping[str, Metric]) -> Quotient:
    """Return the sums that a formula means; the numbers of both sums are such that no measure stands alone.

    Args:
        text: as written by the seller.
        metrics: what ids may name; only sums and ratios of sums can be parts.

    Raises:
        FormulaError: it cannot be read, names what is no metric, mixes units, or is no sum over a sum.
    """
    if len(text) > MAX_LENGTH:
        what = f"It is longer than {MAX_LENGTH} characters."
        raise FormulaError(what, "Make two metrics of it.")
    found = _Parser(text, metrics).read()
    if found.is_number or not found.up or _NUMBER in found.up:
        what = "It has no metric above the line." if found.up else "It is always 0."
        raise FormulaError(what, 'Write for example formula = "gmv / orders".')
    if not _is_number(found.down):
        return found
    factor = found.down[_NUMBER]
    return Quotient(
        {name: part / factor for name, part in found.up.items()},
        {_NUMBER: Fraction(1)},
        found.powers,
        found.ids,
    )


def unit_of_measure(name: str, metrics: Mapping[str, Metric]) -> Unit:
    """Return the unit of a base measure: that of the first metric that is a sum with it."""
    for metric in metrics.values():
        if isinstance(metric.formula, Total) and name in metric.formula.measures:
            return metric.unit
    return Unit.MONEY if MEASURES[name].column.endswith("_minor") else Unit.COUNT


class _Parser:
    """Descend through a formula; every method leaves the next token in place."""

    def __init__(self, text: str, metrics: Mapping[str, Metric]) -> None:
        self._text = text
        self._metrics = metrics
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def read(self) -> Quotient:
        found = self._formula()
        if self._next < len(self._tokens):
            raise self._unexpected()
        return found

    def _formula(self) -> Quotient:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            what = f"It has more than {MAX_DEPTH} brackets within each other."
            raise FormulaError(what, "Write it with fewer.")
        found = self._term()
        while self._peek() in ("+", "-"):
            minus = self._take() == "-"
            other = self._term()
            found = _add(found, _times(other, -1) if minus else other, "-" if minus else "+")
        self._depth -= 1
        return found

    def _term(self) -> Quotient:
        found = self._factor()
        while self._peek() in ("*", "/"):
            divides = self._take() == "/"
            other = self._factor()
            found = _divided(found, other) if divides else _product(found, other)
        return found

    def _factor(self) -> Quotient:
        token = self._take()
        if token == "-":  # noqa: S105 # a sign of the formula
            self._depth += 1
            if self._depth > MAX_DEPTH:
                what = "It has too many signs in a row."
                raise FormulaError(what, "Write it with fewer.")
            found = _times(self._factor(), -1)
            self._depth -= 1
            return found
        if token == "(":  # noqa: S105 # a bracket of the formula
            found = self._formula()
            if self._take() != ")":
                self._next -= 1
                raise self._unexpected()
            return found
        if token[:1].isdigit():
            number = Fraction(token)
            return Quotient({_NUMBER: number} if number else {}, {_NUMBER: Fraction(1)}, {})
        if token[:1].isalpha() or token[:1] == "_":
            return self._part(token)
        self._next -= 1
        raise self._unexpected()

    def _part(self, name: str) -> Quotient:
        """Return the sums of a catalogue metric."""
        metric = self._metrics.get(name)
        if metric is None:
            near = difflib.get_close_matches(name, self._metrics, n=3, cutoff=0.5)
            mend = f"Did you mean {' or '.join(near)}?" if near else "Ids are in docs/METRICS.md."
            what = f"{name[:100]!r} is no metric."
            raise FormulaError(what, mend)
        formula = metric.formula
        one = {_NUMBER: Fraction(1)}
        if isinstance(formula, Total):
            return Quotient(_sum_of(formula), one, {metric.unit.value: 1}, (name,))
        if isinstance(formula, Ratio):
            up, down = formula.numerator, formula.divisor
            if isinstance(up, Total) and isinstance(down, Total):
                powers = _powers_less(self._powers(up), self._powers(down))
                lifted = {part: factor * formula.times / formula.per for part, factor in _sum_of(up).items()}
                return Quotient(lifted, _sum_of(down), powers, (name,))
        what = f"{name!r} is no sum and no ratio of sums: it cannot be added up over days and formats."
        raise FormulaError(what, "Parts are metrics such as gmv, orders, product_clicks, or rates of them.")

    def _powers(self, total: Total) -> Powers:
        return {unit_of_measure(total.measures[0], self._metrics).value: 1}

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _unexpected(self) -> FormulaError:
        if self._next >= len(self._tokens):
            return FormulaError("It ends too early.", "An id, a number or a bracket is missing at its end.")
        token, place = self._tokens[self._next]
        what = f"{token!r} at character {place + 1} cannot stand there."
        return FormulaError(what, "Between ids and numbers stand + - * / and brackets.")


def _tokens(text: str) -> list[tuple[str, int]]:
    found = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            at = place + len(text[place:]) - len(text[place:].lstrip())
            what = f"{text[at]!r} at character {at + 1} is not understood."
            raise FormulaError(what, "A formula has ids, numbers such as 0.5, + - * / and brackets.")
        token = match[match.lastgroup or 0]
        found.append((token, match.end() - len(token)))
        place = match.end()
    return found


# -- arithmetic of sums over sums ---------------------------------------------------------------------------------


def _add(one: Quotient, other: Quotient, sign: str) -> Quotient:
    if not one.up:
        return other
    if not other.up:
        return one
    _check_units(one, other, sign)
    ids = (*one.ids, *other.ids)
    factor = _factor_between(other.down, one.down)
    if factor is not None:
        return Quotient(
            _plus(one.up, {name: part / factor for name, part in other.up.items()}),
            one.down,
            one.powers,
            ids,
        )
    pairs = ((one.up, other.down), (other.up, one.down), (one.down, other.down))
    if any(not (_is_number(left) or _is_number(right)) for left, right in pairs):
        what = f"{_named(one)} {sign} {_named(other)} have different divisors: together they are no sum over a sum."
        raise FormulaError(what, "Bring both over one divisor, such as (gmv + tax_paid) / orders.")
    up, extra, down = (_multiplied(left, right) for left, right in pairs)
    return Quotient(_plus(up, extra), down, one.powers, ids)


def _check_units(one: Quotient, other: Quotient, sign: str) -> None:
    both_pure = all(
        not sum(found.powers.values()) and not found.powers.get(Unit.MONEY) for found in (one, other)
    )
    if one.powers != other.powers and not both_pure:
        what = f"{_named(one)} {sign} {_named(other)} mixes {_unit_text(one)} and {_unit_text(other)}."
        raise FormulaError(what, "Add and take away only what has one unit.")
    plain = _is_number(one.down) and _is_number(other.down)
    people = {Unit(unit) for unit in one.powers} & _PEOPLE if plain and len(one.powers) == 1 else set()
    if people and one.up.keys() != other.up.keys():
        what = f"{_named(one)} {sign} {_named(other)} would count a person who is in both twice."
        raise FormulaError(what, "Add and take away people only inside a rate that the catalogue has.")


def _product(one: Quotient, other: Quotient) -> Quotient:
    ids = (*one.ids, *other.ids)
    powers = _powers_plus(one.powers, other.powers)
    ups, downs = [one.up, other.up], [one.down, other.down]
    for left, right in ((0, 1), (1, 0), (0, 0), (1, 1)):
        factor = _factor_between(ups[left], downs[right])
        if factor is not None:
            ups[left], downs[right] = {_NUMBER: factor}, {_NUMBER: Fraction(1)}
    for first, second in (ups, downs):
        if first and second and not (_is_number(first) or _is_number(second)):
            raise _no_sum(one, other)
    return Quotient(_multiplied(*ups), _multiplied(*downs), powers, ids)


def _divided(one: Quotient, other: Quotient) -> Quotient:
    if not other.up:
        what = "It divides by 0."
        raise FormulaError(what, "Divide by a metric or by a number that is not 0.")
    powers = {unit: -power for unit, power in other.powers.items()}
    return _product(one, Quotient(other.down, other.up, powers, other.ids))


def _no_sum(one: Quotient, other: Quotient) -> FormulaError:
    money = Unit.MONEY.value
    if one.powers.get(money, 0) * other.powers.get(money, 0) > 0:
        return FormulaError(
            f"{_named(one)} and {_named(other)} multiply money by money, which means nothing.",
            "Multiply by a number, or divide.",
        )
    what = f"{_named(one)} with {_named(other)} is no sum over a sum: days and formats would not add up."
    return FormulaError(
        what,
        "Divide one sum by one sum; a ratio of ratios works only where what is in both cancels.",
    )


def _sum_of(total: Total) -> Sum:
    found: Sum = {}
    for name in total.measures:
        found[name] = found.get(name, Fraction(0)) + 1
    for name in total.minus:
        found[name] = found.get(name, Fraction(0)) - 1
    return found


def _is_number(terms: Sum) -> bool:
    return terms.keys() == {_NUMBER}


def _plus(one: Sum, other: Sum) -> Sum:
    found = dict(one)
    for name, part in other.items():
        found[name] = found.get(name, Fraction(0)) + part
    return {name: part for name, part in found.items() if part}


def _multiplied(one: Sum, other: Sum) -> Sum:
    """Return a product of which one factor is a number."""
    if not one or not other:
        return {}
    number, terms = (one, other) if _is_number(one) else (other, one)
    return {name: part * number[_NUMBER] for name, part in terms.items()}


def _times(found: Quotient, number: int) -> Quotient:
    up = {name: part * number for name, part in found.up.items()}
    return Quotient(up, found.down, found.powers, found.ids)


def _factor_between(one: Sum, other: Sum) -> Fraction | None:
    """Return how many times `other` a sum is; None where it is no multiple."""
    if not one or one.keys() != other.keys():
        return None
    factors = {one[name] / other[name] for name in one}
    return factors.pop() if len(factors) == 1 else None


def _powers_plus(one: Powers, other: Powers) -> Powers:
    found = {unit: one.get(unit, 0) + other.get(unit, 0) for unit in [*one, *other]}
    return {unit: power for unit, power in found.items() if power}


def _powers_less(one: Powers, other: Powers) -> Powers:
    return _powers_plus(one, {unit: -power for unit, power in other.items()})


def _named(found: Quotient) -> str:
    return " and ".join(dict.fromkeys(found.ids)) or "a number"


def _unit_text(found: Quotient) -> str:
    if not found.powers:
        return "a number"
    over = [unit for unit, power in found.powers.items() if power < 0]
    up = [unit for unit, power in found.powers.items() if power > 0]
    return " x ".join(up or ["1"]) + (f" / {' x '.join(over)}" if over else "")
