"""Every metric of the catalogue against DuckDB SQL over the lines, on made-up days and on the real sets.

The SQL (`duck_tables`, `duck_metrics`, `duck_singles`) is written from spec/metrics.md, spec/events.md and
spec/decisions.md, never from the catalogue's formulas. Each metric is compared on each dimension of its row over a
window of every kind. What no recording can tell, and what a question refuses, stands in the tables below with its
reason: what is listed is asked and has to be refused, and a metric, dimension or window that is in neither fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from streams.catalogue import METRICS
from streams.errors import QueryError
from streams.query import parse_request, run
from streams.windows import FORMS
from tests.oracle import duck_days, duck_tables
from tests.oracle.asking import columns_of
from tests.oracle.duck_figures import TIME, Span, differences, estimates, figures, topics_of, words_of
from tests.oracle.duck_metrics import FIGURES, PARTS
from tests.oracle.duck_singles import SINGLES, Single
from tests.oracle.duck_windows import Windows

if TYPE_CHECKING:
    import duckdb

    from streams.columns import Columns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RECORDINGS: Final = Path(__file__).parents[2] / "replay" / "recordings"
REAL: Final = {
    "online-retail-2010-11": ("Europe/London", {"orders"}),
    "open-bandit-men": ("Asia/Tokyo", {"impressions", "clicks"}),
}
"""The real sets that come with the project: their zone, and the topics that they hold."""

HOMES: Final = {
    "orders_by_source_rank": "slice",
    "channel_efficiency_rank": "leaf",
    "top_selling_products": "product",
    "content_rank_live": "content",
    "content_rank_video": "content",
}
"""What a place is a place among: a question without it is refused, so it is asked beside every dimension."""

AMONG: Final = {
    "orders_by_source_rank": ("slice", "leaf", "creator"),
    "channel_efficiency_rank": ("slice", "leaf", "owner"),
    "content_rank_live": ("owner",),
    "content_rank_video": ("owner",),
}
"""Dimensions whose values are ranked with each other, so that none needs another beside it."""

PROJECTION: Final = (
    "an estimate by a method, no definition over records; tests/unit/streams holds it to worked cases"
)
NOT_COMPARED: Final = {
    **dict.fromkeys(
        ("stock_status", "sell_velocity", "hours_to_stockout", "stock_horizon_hours", "replenish_units"),
        PROJECTION,
    ),
    **dict.fromkeys(("gmv_at_risk", "gmv_lost_to_stockout", "goal_pace_pct"), PROJECTION),
    **dict.fromkeys(
        (
            "gmv_projected_campaign_end",
            "gmv_projected_campaign_end_low",
            "gmv_projected_campaign_end_high",
        ),
        PROJECTION,
    ),
    "demand_flag": "the top part of the shop is a choice of ours; the rate that it is made of is compared",
    **dict.fromkeys(
        ("today_lag_seconds", "view_as_of"), "of the pipeline's own health, which no recording can tell"
    ),
}
"""Metric -> why no SQL over the lines can say it."""

NO_TERRITORY: Final = "of traffic only impressions carry a territory (spec/events.md)"
NO_MINUTE: Final = "people are kept by the hour at the finest; their counts are kept by the minute"
WHOLE_DAYS: Final = "a product's people, and its clicks by slice, are kept by the day"
ONE_FIGURE: Final = "has a value for a thing of its own only: a whole shop has none"
ONE_SENDER: Final = "what became of a record is the pipeline's own account; the topics' sums are compared"
ALONE: Final = "asked with the dimension that it is about; alone it is one figure of several things"

_PEOPLE: Final = (
    *("unique_product_impressions", "unique_clicks", "unique_page_viewers", "atc_users"),
    *("unique_product_impressions_distinct", "unique_clicks_distinct", "unique_page_viewers_distinct"),
    *("atc_users_distinct", "unique_ctr", "unique_ctor", "unique_atc_rate"),
)
_NOT_OF_TERRITORY: Final = (
    *("product_clicks", "unique_clicks", "unique_clicks_distinct", "product_page_views"),
    *("unique_page_viewers", "unique_page_viewers_distinct", "atc_count", "atc_users", "atc_users_distinct"),
    *("ctr", "unique_ctr", "ctor", "unique_ctor", "atc_rate", "unique_atc_rate", "avg_unique_clicks"),
    *("funnel_reach_to_click", "funnel_click_to_customer", "funnel_impression_to_click"),
    *("funnel_click_to_sku_order", "channel_efficiency_rank"),
)
_OF_PRODUCTS: Final = (
    *("atc_rate_pdp", "product_gmv_range", "best_format", "product_status", "product_rating"),
    "product_opportunity_matched",
)
REFUSED: Final = {
    **{(metric, "minute"): NO_MINUTE for metric in _PEOPLE},
    **{(metric, "territory"): NO_TERRITORY for metric in _NOT_OF_TERRITORY},
    **{(metric, ""): ONE_FIGURE for metric in (*_OF_PRODUCTS, "key_session_flag", "creator_type", *HOMES)},
    ("records_in", ""): ONE_SENDER,
    ("records_in", "outcome"): ONE_SENDER,
    **{
        (metric, window): WHOLE_DAYS
        for metric in ("atc_rate_pdp", "best_format")
        for window in ("hour", "last")
    },
}
"""(metric, dimension or kind of window) -> why the question has no answer."""

OF_DAYS: Final = ("sku", "creator", "content", "variant", "sub_campaign", "territory")
"""Dimensions by which traffic is kept by the day (design, decision 2): a part of a day has no answer."""

OF_ONE_LIVE: Final = {
    "sub_campaign": {"product_impression", "product_click"},
    "sku": {"product_click"},
}
"""What else the traffic of a content is kept by, of which kinds: counts alone, no people."""

KINDS: Final = tuple(dict.fromkeys(form.partition(":")[0] for form in FORMS))
FIXED: Final = {
    "gmv_vs_baseline_pct",
    "sales_volume_mom_pct",
    "metric_vs_benchmark_pct",
    "benchmark_age_days",
}
"""Metrics that bring a window of their own: a day with its baseline, the month, a finished day."""


@dataclass(frozen=True)
class World:
    """A recording, folded by us and laid open to SQL."""

    columns: Columns
    base: duckdb.DuckDBPyConnection
    windows: Windows
    topics: frozenset[str]

    def span(self, kind: str) -> Span:
        """Return the window of a text."""
        return next(span for span in self.windows if span.text == kind)

    def answer(self, metrics: str, by: tuple[str, ...], window: str, compare: str = "") -> dict[str, Any]:
        """Ask through the public way."""
        wanted = {"metrics": metrics, "by": ",".join(by), "window": window, "compare": compare}
        request = parse_request({name: text for name, text in wanted.items() if text})
        found: dict[str, Any] = run(self.columns, request, now_ms=self.windows.now_ms).document()
        return found

    def answers(self, metric: str, by: tuple[str, ...], window: str) -> bool:
        """Return whether a question is not refused."""
        try:
            self.answer(metric, by, window)
        except QueryError:
            return False
        return True

    def faults(self, metrics: list[str], by: tuple[str, ...], span: Span) -> list[str]:
        """Return what differs from the oracle."""
        document = self.answer(",".join(metrics), by, span.text)
        return differences(document, figures(self.base, metrics, by, span), by, metrics)


def _world(folder: Path, zone: str, topics: set[str]) -> World:
    columns = columns_of(folder)
    base = duck_tables.load(folder, zone)
    base.execute(f"SET VARIABLE min_group = {columns.settings.board.min_group}")
    return World(columns, base, Windows(base, zone, columns.vouched_ms), frozenset(topics))


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = duck_days.make(tmp_path_factory.mktemp("duck"))
    topics = {topic for figure in FIGURES for topic in topics_of(figure)}
    return _world(folder, "America/Los_Angeles", topics)


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest) -> World:
    zone, topics = REAL[request.param]
    return _world(RECORDINGS / request.param, zone, topics)


def _asked(dim: str, topics: frozenset[str] | None = None) -> list[tuple[tuple[str, ...], list[str]]]:
    """Return the questions that ask every figure by a dimension: grouping and metrics of each."""
    found: dict[tuple[str, ...], list[str]] = {}
    for metric in FIGURES:
        dims = METRICS[metric].dims
        if dim and (dim not in dims or (metric, dim) in REFUSED):
            continue
        if topics is not None and not topics_of(metric) <= topics:
            continue
        home = HOMES.get(metric, "")
        by = tuple(dict.fromkeys(name for name in (dim, home) if name))
        if dim in AMONG.get(metric, ()):
            by = (dim,)
        found.setdefault(by, []).append(metric)
    return list(found.items())


DIMENSIONS: Final = ("", *dict.fromkeys(dim for metric in FIGURES for dim in METRICS[metric].dims))
WINDOWS: Final = (
    *(
        "today",
        "yesterday",
        "day:2026-11-26",
        "day:2026-11-20",
        "last7",
        "last:2d",
        "week",
        "week:2026-11-20",
    ),
    *("weeks", "weeks:2", "month", "month:2026-11", "quarter", "range:2026-11-20..2026-11-26"),
    *(
        "hour:2026-11-26T20",
        "last:15m",
        "last:6h",
        "campaign",
        "campaign:black-friday",
        "stream:ab-live",
        "all",
    ),
)


@pytest.mark.parametrize("dim", DIMENSIONS, ids=lambda dim: dim or "shop")
def test_each_metric_is_that_of_the_sql_on_each_dimension_of_its_row(days: World, dim: str) -> None:
    span = days.windows.all() if dim != "minute" else days.span("today")
    faults = [fault for by, metrics in _asked(dim) for fault in days.faults(metrics, by, span)]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


@pytest.mark.parametrize(
    "by",
    [
        *(("day", "slice"), ("slice", "product"), ("product", "leaf"), ("week", "creator")),
        *(("product", "sku"), ("slice", "sku"), ("day", "sku")),
        *(("content", "slice"), ("leaf", "content"), ("owner", "variant"), ("content", "creator")),
        *(("owner", "content"), ("content", "sub_campaign"), ("content", "sku")),
    ],
)
def test_each_metric_is_that_of_the_sql_on_two_dimensions_at_once(days: World, by: tuple[str, ...]) -> None:
    metrics = [
        name for name in FIGURES if set(by) <= set(METRICS[name].dims) and HOMES.get(name, by[1]) == by[1]
    ]
    refused = [name for name in metrics if "content" in by and _not_of_content(name, by)]
    faults = days.faults([name for name in metrics if name not in refused], by, days.windows.all())
    faults += [f"{name}: answered" for name in refused if days.answers(name, by, "all")]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


MINUTES_IN: Final = ("today", "yesterday", "hour:2026-11-26T20", "last:15m", "last:6h")
"""Windows in which minutes are asked for: of more days there are tens of thousands, alike."""

ONE_OF_EACH: Final = tuple(
    window
    for window in WINDOWS
    if window not in ("all", "day:2026-11-26", "last:2d", "weeks:2", "month:2026-11", "campaign:black-friday")
    and not window.startswith("range:")
)
"""A window of each kind, without those that are another one by a second name; over all time is a test of its own."""

ON_REAL: Final = ("today", "last7", "month")


def _not_of_content(metric: str, by: tuple[str, ...]) -> bool:
    """Return whether a metric is refused by a dimension together with contents."""
    parts = [part for part in map(PARTS.get, words_of(metric)) if part and part.kind]
    kinds, sketched = {part.kind for part in parts}, any(part.sketched for part in parts)
    return any((kinds and sketched) or kinds - OF_ONE_LIVE[dim] for dim in by if dim in OF_ONE_LIVE)


def _refused_in(metric: str, by: tuple[str, ...], span: Span) -> bool:
    """Return whether a metric by dimensions has no answer in a window, by how traffic is kept (design, decision 2)."""
    kind = span.text.partition(":")[0]
    if (metric, kind) in REFUSED:
        return True
    parts = [PARTS[word] for word in words_of(metric)]
    if not any(part.kind for part in parts):
        return False
    if span.content:
        # By product, source and day, and no finer; its record names its creator.
        kept = {"month", "week", "day", "product", "content", "variant", "creator", "slice", "leaf", "owner"}
        return bool(set(by) - kept - OF_ONE_LIVE.keys()) or _not_of_content(metric, by)
    if kind not in ("hour", "last") or span.text == "last:2d":
        return False
    of_people = any(part.kind and part.sketched for part in parts)
    by_format = bool(set(by) & {"slice", "leaf", "owner"})
    return bool(set(by) & set(OF_DAYS)) or ("product" in by and (of_people or by_format))


@pytest.mark.parametrize("window", ONE_OF_EACH)
def test_each_metric_is_that_of_the_sql_on_each_dimension_over_each_window(days: World, window: str) -> None:
    span = days.span(window)
    faults = []
    for dim in DIMENSIONS[1:]:
        if dim == "minute" and window not in MINUTES_IN:
            continue
        for by, metrics in _asked(dim):
            known = [name for name in metrics if not span.content or _of_streams(name)]
            refused = [name for name in known if _refused_in(name, by, span)]
            if answered := [name for name in known if name not in refused]:
                faults += [f"by {dim} {fault}" for fault in days.faults(answered, by, span)]
            faults += [f"by {dim} {name}: answered" for name in refused if days.answers(name, by, window)]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


@pytest.mark.parametrize("window", WINDOWS)
def test_each_metric_is_that_of_the_sql_over_each_window(days: World, window: str) -> None:
    span = days.span(window)
    faults = []
    for by, metrics in _asked(""):
        known = [name for name in metrics if not span.content or _of_streams(name)]
        if known:
            faults += days.faults(known, by, span)
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


def _of_streams(metric: str) -> bool:
    """Return whether the window of a LIVE means anything to a metric."""
    return "content" in METRICS[metric].dims and (metric, "stream") not in REFUSED


@pytest.mark.parametrize("single", SINGLES, ids=lambda one: "-".join((one.metric, *one.by)))
def test_each_figure_that_is_no_sum_is_that_of_the_sql(days: World, single: Single) -> None:
    faults = []
    for window in windows_of(single):
        span = days.span("today" if window == "day:2026-11-27" else window)
        document = days.answer(single.metric, single.by, window, single.compare)
        minute_ms = days.windows.now_ms // 60_000 * 60_000 + 60_000
        sql = (
            single.sql.replace("{where}", f"({span.holds('')})")
            .replace("{recent}", f"ms >= {minute_ms - 900_000} AND ms < {minute_ms}")
            .replace("{start}", str(span.from_ms))
            .replace("{end}", str(span.to_ms))
        )
        expected = {tuple(map(str, row[:-1])): row[-1] for row in days.base.execute(sql).fetchall()}
        found = {tuple(str(row[dim]) for dim in single.by): row[single.metric] for row in document["rows"]}
        faults += [
            f"{window} {'/'.join(key)}: answered {found.get(key)}, oracle {expected.get(key)}"
            for key in sorted(found.keys() | expected.keys())
            if not _equal(found.get(key), expected.get(key), both=key in found and key in expected)
        ]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


def windows_of(single: Single) -> tuple[str, ...]:
    """Return the windows in which a figure is compared: all kinds, or two where its rows are of time."""
    if single.window:
        return (single.window,)
    if set(single.by) & set(TIME):
        return ("all", "range:2026-11-20..2026-11-26")
    return tuple(
        window
        for window in WINDOWS
        if not window.startswith("stream:") and (single.metric, window.partition(":")[0]) not in REFUSED
    )


def _equal(answered: Any, figure: Any, *, both: bool) -> bool:
    if isinstance(answered, str) or isinstance(figure, str):
        return bool(answered == figure)
    if answered is None or figure is None:
        return answered is None and figure is None if both else not answered and not figure
    return bool(abs(answered - float(figure)) <= 1e-9 * max(1.0, abs(answered)))


@pytest.mark.parametrize(
    ("real", "dim"),
    [
        pytest.param(name, dim, id=f"{name}-{dim or 'shop'}")
        for name, (_, topics) in REAL.items()
        for dim in DIMENSIONS
        if dim != "minute" and _asked(dim, frozenset(topics))
    ],
    indirect=["real"],
)
def test_real_sets_give_the_figures_of_the_sql_on_each_dimension(real: World, dim: str) -> None:
    faults = [
        fault
        for by, metrics in _asked(dim, real.topics)
        for fault in real.faults(metrics, by, real.windows.all())
    ]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


def test_real_sets_give_the_figures_of_the_sql_over_each_window(real: World) -> None:
    faults = []
    for span in real.windows:
        for by, metrics in _asked("", real.topics):
            # The hour of the last record is not over, and people are kept by the hour.
            cut = span.text in ("last:15m", "last:6h")
            kept = [name for name in metrics if not (cut and estimates(name))]
            faults += [f"{span.text} {fault}" for fault in real.faults(kept, by, span)]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


@pytest.mark.parametrize("window", ON_REAL)
def test_real_sets_give_the_figures_of_the_sql_on_each_dimension_over_days(real: World, window: str) -> None:
    span = real.span(window)
    faults = [
        f"by {dim} {fault}"
        for dim in DIMENSIONS[1:]
        if dim != "minute"
        for by, metrics in _asked(dim, real.topics)
        for fault in real.faults(metrics, by, span)
    ]
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:30])


def test_what_a_real_set_does_not_hold_is_null_and_never_zero(real: World) -> None:
    others = [name for name in FIGURES if not topics_of(name) & real.topics and name not in HOMES]
    (row,) = real.answer(",".join(others), (), "all")["rows"]
    assert len(others) > 30
    assert set(row.values()) == {None}


@pytest.mark.parametrize(
    ("metric", "dim"), [pair for pair in REFUSED if pair[1] not in KINDS and pair[0] != "records_in"]
)
def test_what_is_listed_as_refused_is_refused(days: World, metric: str, dim: str) -> None:
    home = HOMES.get(metric, "") if dim else ""
    with pytest.raises(QueryError):
        days.answer(metric, tuple(name for name in (dim, home) if name), "all")


def test_every_metric_dimension_and_window_is_compared_or_says_why_not() -> None:
    compared = {(metric, dim) for dim in DIMENSIONS for _, metrics in _asked(dim) for metric in metrics}
    compared |= {(single.metric, dim) for single in SINGLES for dim in single.by or ("",)}
    kinds = {window.partition(":")[0] for window in WINDOWS}
    over = {(metric, kind) for metric in FIGURES for kind in kinds if kind != "stream"}
    over |= {(metric, "stream") for metric in FIGURES if _of_streams(metric)}
    over |= {(single.metric, window.partition(":")[0]) for single in SINGLES for window in windows_of(single)}
    missing = []
    for name, metric in METRICS.items():
        if name in NOT_COMPARED:
            continue
        missing += [
            (name, dim)
            for dim in ("", *metric.dims)
            if (name, dim) not in compared and (name, dim) not in REFUSED and (name, dim) not in BESIDE
        ]
        if metric.windows == "now" or name in FIXED:
            continue
        missing += [
            (name, kind)
            for kind in KINDS
            if (name, kind) not in over
            and (name, kind) not in REFUSED
            and not (kind == "stream" and ("content" not in metric.dims or name in OF_STREAMS))
        ]
    assert not missing, f"neither compared nor excused: {missing}"
    assert set(NOT_COMPARED) <= set(METRICS)


BESIDE: Final = {
    ("metric_vs_benchmark_pct", ""): ALONE,
    ("benchmark_age_days", ""): ALONE,
    ("campaign_target", ""): ALONE,
    ("goal_progress_pct", ""): ALONE,
}
"""Compared with a dimension; without it the same figure is answered for the only one there is."""

OF_STREAMS: Final = {
    "live_gmv_growth_pct": "by=content gives the growth of each LIVE, whatever window it began in",
    "content_push_lift": "by=content gives the lift of each LIVE's start",
}
"""Metrics whose rows are LIVEs, so that the window of one LIVE says nothing new."""
