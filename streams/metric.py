"""What a metric of the catalogue is: a record with its meaning, and what follows from its formula."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from streams.formulas import (
    AdderFigure,
    AddsOver,
    CompareFigure,
    DailyMean,
    Formula,
    Frame,
    FreshnessFigure,
    Now,
    Rank,
    Ratio,
    Recent,
    Share,
    Total,
    Weighted,
    measures_of,
)


class Unit(StrEnum):
    """What a metric's value is."""

    MONEY = "money"
    """Major units of the shop's currency, from exact sums of minor units."""
    COUNT = "count"
    UNITS = "units"
    PEOPLE = "persons"
    PERSON_DAYS = "person-days"
    PEOPLE_PER_DAY = "persons/day"
    RATE = "fraction"
    """0.042 is 4.2 %."""
    NUMBER = "number"
    """A quotient that is no part of a whole, such as items an order."""
    UNITS_PER_HOUR = "units/h"
    HOURS = "hours"
    DAYS = "days"
    SECONDS = "seconds"
    MILLISECONDS = "ms"
    INSTANT = "ms since the epoch, UTC"
    STATUS = "status"


OWN: Final = "own"
"""Source and owner of a metric that the seller's settings add (`streams.own_metrics`)."""

NULL_REASONS: Final = {
    "no_source": "no source feeds a topic that the metric needs, or it began after this row; never shown as 0",
    "zero_divisor": "the divisor is 0",
    "catching_up": "the rate's topics are more than a minute apart; their numbers do not belong together yet",
    "source_gives_no_skus": "the events name no SKU, so they cannot be told apart by it",
    "source_gives_no_people": "the events carry no user_key, so people cannot be counted",
    "partly_kept": "an earlier version folded a part of the row's days and did not keep what this metric needs",
    "too_uncertain": "the bounds of the estimate (two standard deviations) are further apart than 30 % of it",
    "below_minimum": "fewer people or clicks than the settings ask for before anything is said",
    "no_finished_day": "the window has no day over which a mean could be taken",
    "no_target": "the campaign has no goal, or there is no campaign",
    "nothing_due": "nothing of the goal was due by now, so there is no pace",
    "nothing_sold": "nothing is sold yet, and no earlier days tell how much will be",
    "no_stock_record": "no stock record of the SKU is known",
    "not_selling": "nothing sells, so it does not run out",
    "after_campaign": "the campaign is over: stock is shown without a projection (X-34)",
    "not_in_stock_feed": "the row is not in the stock table",
    "unknown_id": "no record at hand names the id that is asked for: a slip of the key, or not seen for long; never 0",
    "nothing_compared": "the question names nothing to compare with",
    "no_counterpart": "the other side has no such day or hour: a shorter month, or an hour that its clock leaves out",
    "source_began_later": "the source of the other side began within this row: it does not hold all of it",
    "not_compared": "nothing stands beside a figure of the moment, or beside one that is a comparison itself",
    "not_a_number": "text has neither difference nor percentage",
    "grain_too_coarse": "of the same part of a day only one side is kept in that detail",
    "not_by_format": "the figure is not kept by format, or not together with these rows: see the tab All",
    "not_begun": "the window lies wholly in the future, and nothing is counted in it; never shown as 0",
    "no_detail_before": "the time, or that of the other side, is older than what is kept in that detail",
    "no_benchmark": "no benchmark is known for the metric and these days, or the newest is too old",
    "not_final": "a benchmark needs finished days, and none of these is final yet",
    "no_primary_ad_account": "there are several ad accounts, and none is chosen as the primary one",
    "not_ranked": "the row has nothing to be ranked by, or is the sum of others",
    "not_told": "no record of the thing says it",
    "no_card": "no record describes the thing, or its record does not say it",
    "not_a_live": "the content is no LIVE",
    "no_earlier_live": "the account has no finished LIVE before this one",
    "loading": "the board is still reading what is there; asked again in a moment it answers",
}
"""Why a value is null, as answers say it."""

TIME_DIMS: Final = ("month", "week", "day", "hour", "minute")
FACT_DIMS: Final = (
    *TIME_DIMS,
    "product",
    "sku",
    "slice",
    "leaf",
    "owner",
    "creator",
    "content",
    "variant",
    "sub_campaign",
    "territory",
    "status",
)
TRAFFIC_DIMS: Final = (
    *TIME_DIMS,
    "product",
    "slice",
    "leaf",
    "owner",
    "creator",
    "content",
    "variant",
    "sub_campaign",
    "territory",
)
SKU_TRAFFIC_DIMS: Final = tuple(dim for dim in FACT_DIMS if dim in {*TRAFFIC_DIMS, "sku"})
"""Of metrics that need no other traffic than clicks and presses of add-to-cart: page views and showings name no SKU."""

STOCK_DIMS: Final = ("product", "sku")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        id: stable; the name in queries, series and exports.
        title: as a screen shows it.
        definition: exact, one or two sentences.
        unit: of the value.
        formula: over base measures.
        dims: what it may be asked by, if its cubes give the combination.
        adds_over: over what its values may be summed.
        sources: ids of features in the briefs, and of settled questions.
        not_counted: what a reader might expect in it and does not find.
        advice: one line for the seller when the figure is off its band.
        min_divisor: a rate with a smaller divisor is null `zero_divisor`.
        windows: `any`, or `now` for a figure of the moment that no window changes.
        topics: which it needs, without prefix; a metric without these as source is null `no_source`.
        group: metrics that one name asks for together.
        owner: the module that computes it.
    """

    id: str
    title: str
    definition: str
    unit: Unit
    formula: Formula
    dims: tuple[str, ...]
    adds_over: AddsOver
    sources: str
    not_counted: str = ""
    advice: str = ""
    min_divisor: int = 1
    windows: str = "any"
    topics: tuple[str, ...] = ()
    group: str = ""
    owner: str = "streams.query"
    null_reasons: tuple[str, ...] = field(default=("no_source",))

    @property
    def is_rate(self) -> bool:
        """Whether numerator and divisor may come from topics that are not equally far."""
        if isinstance(self.formula, Weighted):
            return bool(self.formula.divisor)
        return isinstance(self.formula, (Ratio, Share, AdderFigure))

    @property
    def is_own(self) -> bool:
        """Whether the seller's settings add it."""
        return self.owner == OWN

    @property
    def is_comparison(self) -> bool:
        """Whether its value is a comparison itself, so that nothing can stand beside it."""
        return isinstance(self.formula, CompareFigure)

    @property
    def counts_people(self) -> bool:
        """Whether any part is an estimate of sketches."""
        return any(measure.people for measure in measures_of(self.formula))


def metric_of(
    id: str,
    title: str,
    definition: str,
    unit: Unit,
    formula: Formula,
    sources: str,
    *,
    dims: tuple[str, ...] | None = None,
    **more: str | tuple[str, ...] | int,
) -> Metric:
    """Fill in what follows from the formula."""
    parts = list(measures_of(formula))
    topics = tuple(dict.fromkeys(measure.topic for measure in parts))
    if dims is None:
        traffic = any(measure.frame is Frame.TRAFFIC for measure in parts)
        dims = TRAFFIC_DIMS if traffic else FACT_DIMS
        if isinstance(formula, DailyMean) or has_mean(formula):
            dims = tuple(dim for dim in dims if dim not in {"hour", "minute"})
        if isinstance(formula, (Recent, Now)):
            dims = tuple(dim for dim in dims if dim not in TIME_DIMS)
    reasons = ["no_source"]
    if isinstance(formula, (Ratio, Share)):
        reasons.append("zero_divisor")
        if len(topics) > 1:
            reasons.append("catching_up")
    if any(measure.people for measure in parts):
        reasons.append("source_gives_no_people")
    if isinstance(formula, DailyMean) or has_mean(formula):
        reasons.append("no_finished_day")
    if isinstance(formula, Rank):
        reasons.append("not_ranked")
    if "age_band" in dims:
        reasons += [
            "below_minimum",
            *(["source_gives_no_people"] if "source_gives_no_people" not in reasons else []),
        ]
    if any(measure.frame is Frame.TRAFFIC for measure in parts):
        reasons += ["no_detail_before", *(["source_gives_no_skus"] if "sku" in dims else [])]
    if any(measure.frame is Frame.ADS for measure in parts):
        reasons.append("no_primary_ad_account")
    values: dict[str, object] = {
        "topics": topics,
        "null_reasons": tuple(reasons),
        "adds_over": _adds(formula),
    }
    values |= more
    found = Metric(id, title, definition, unit, formula, dims, sources=sources, **values)  # type: ignore[arg-type] # fields by name
    return _of_a_time(found)


def _of_a_time(metric: Metric) -> Metric:
    """Add what a metric says of a window that is still to come; a figure of the moment has none."""
    if metric.windows == "now" or isinstance(metric.formula, (CompareFigure, FreshnessFigure)):
        return metric
    return replace(metric, null_reasons=(*metric.null_reasons, "not_begun"))


def has_mean(formula: Formula) -> bool:
    """Return whether a formula divides by or into a mean over finished days."""
    return isinstance(formula, Ratio) and (
        isinstance(formula.numerator, DailyMean) or isinstance(formula.divisor, DailyMean)
    )


def _adds(formula: Formula) -> AddsOver:
    if not isinstance(formula, (Total, Recent)):
        return AddsOver.NONE
    kinds = {measure.adds_over for measure in measures_of(formula)}
    order = (AddsOver.NONE, AddsOver.TIME, AddsOver.ALL)
    return next(kind for kind in order if kind in kinds)
