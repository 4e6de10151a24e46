"""A seller's own metrics: tables `[metrics.<id>]` of warroom.toml, checked at start and asked for like any other.

The catalogue is the same for everybody; what a process can be asked for is the catalogue and what its settings add.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from streams.catalogue import DIMENSIONS, GROUPS, METRICS
from streams.errors import SettingsError
from streams.formulas import MEASURES, AddsOver, Measure, Weighted
from streams.metric import OWN, Metric, Unit
from streams.own_formula import FormulaError, Quotient, read_formula

if TYPE_CHECKING:
    from streams.settings import OwnMetricSettings, Settings

MOST: Final = 200
"""Most own metrics: each is in every list that a person reads."""

_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_LEAST_FIRST: Final = (AddsOver.NONE, AddsOver.TIME, AddsOver.ALL)


def known_metrics(settings: Settings) -> Mapping[str, Metric]:
    """Return every metric that can be asked for under these settings, the seller's own last.

    Raises:
        SettingsError: an own metric does not hold; settings from `settings_check` never raise it.
    """
    return _known(tuple(settings.metrics.items())) if settings.metrics else METRICS


def check_own_metrics(own: Mapping[str, OwnMetricSettings], *, place: str) -> None:
    """Check every own metric.

    Args:
        own: by id.
        place: of the settings, for messages.

    Raises:
        SettingsError: an id is taken or none, or a formula does not hold; the message names key, value and mend.
    """
    if len(own) > MOST:
        what = f"{place}: [metrics] has {len(own)} own metrics where {MOST} are allowed."
        raise SettingsError(what, mend="Keep those that somebody reads.")
    for name, settings in own.items():
        own_metric(name, settings, place=place)


def own_metric(name: str, settings: OwnMetricSettings, *, place: str = "settings") -> Metric:
    """Return the metric that a table of the settings describes.

    Raises:
        SettingsError: the id is taken or none, or the formula does not hold.
    """
    _check_id(name, place)
    try:
        found = read_formula(settings.formula, METRICS)
    except FormulaError as error:
        what = f"{place}: metrics.{name}.formula = {settings.formula[:200]!r}: {error.what}"
        raise SettingsError(what, mend=error.mend) from error
    parts = [METRICS[part] for part in dict.fromkeys(found.ids)]
    dims = tuple(dim for dim in DIMENSIONS if all(dim in part.dims for part in parts))
    formula = Weighted(
        text=settings.formula.strip(),
        numerator=_terms(found.up),
        divisor=_terms(found.down),
        money=found.powers.get(Unit.MONEY.value, 0),
    )
    measures = [MEASURES[measure] for _, measure in (*formula.numerator, *formula.divisor)]
    return Metric(
        id=name,
        title=settings.title or name,
        definition=settings.definition or f"{formula.text}, summed first.",
        unit=_unit(found),
        formula=formula,
        dims=dims,
        adds_over=_adds_over(measures) if not formula.divisor else AddsOver.NONE,
        sources=OWN,
        not_counted=" ".join(dict.fromkeys(part.not_counted for part in parts if part.not_counted)),
        advice=settings.advice,
        topics=tuple(dict.fromkeys(topic for part in parts for topic in part.topics)),
        owner=OWN,
        null_reasons=_reasons(formula, parts),
    )


@lru_cache(maxsize=8)
def _known(own: tuple[tuple[str, OwnMetricSettings], ...]) -> Mapping[str, Metric]:
    return MappingProxyType(METRICS | {name: own_metric(name, settings) for name, settings in own})


def _check_id(name: str, place: str) -> None:
    if not _ID.fullmatch(name):
        what = f"{place}: [metrics.{name[:100]}] is no id."
        raise SettingsError(what, mend="Write small letters, digits and _, such as [metrics.gmv_per_view].")
    for known, kind in ((METRICS, "a metric"), (GROUPS, "a group of metrics"), (DIMENSIONS, "a dimension")):
        if name in known:
            what = f"{place}: [metrics.{name}] has the name of {kind} of the catalogue."
            raise SettingsError(what, mend=f"Name it otherwise, such as [metrics.our_{name}].")


def _terms(terms: Mapping[str, Fraction]) -> tuple[tuple[float, str], ...]:
    """Return factors as numbers, whole ones as integers: sums of money stay whole minor units."""
    return tuple(
        (int(factor) if factor.denominator == 1 else float(factor), name)
        for name, factor in terms.items()
        if name
    )


def _unit(found: Quotient) -> Unit:
    """Return the unit of the value: a fraction only where nothing was multiplied, so that 35.3 is no 3,530 %."""
    powers = {unit: power for unit, power in found.powers.items() if power}
    if powers.get(Unit.MONEY.value) == 1:
        return Unit.MONEY
    if not powers:
        factors = {abs(factor) for terms in (found.up, found.down) for factor in terms.values()}
        return Unit.RATE if len(factors) == 1 else Unit.NUMBER
    (unit, power), *others = powers.items()
    return Unit(unit) if power == 1 and not others else Unit.NUMBER


def _adds_over(measures: list[Measure]) -> AddsOver:
    kinds = {measure.adds_over for measure in measures}
    return next(kind for kind in _LEAST_FIRST if kind in kinds)


def _reasons(formula: Weighted, parts: list[Metric]) -> tuple[str, ...]:
    reasons = [reason for part in parts for reason in part.null_reasons]
    if formula.divisor:
        reasons.append("zero_divisor")
        if len({topic for part in parts for topic in part.topics}) > 1:
            reasons.append("catching_up")
    return tuple(dict.fromkeys(reasons))
