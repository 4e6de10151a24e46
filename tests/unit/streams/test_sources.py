"""What docs/SOURCES.md says of the recordings that come with the project is so in them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from replay.direct import load_columns
from replay.generator.scenario import generate
from replay.recording import Recording
from streams.catalogue import METRICS
from streams.formulas import Rank
from streams.query import parse_request, run
from streams.settings import Settings
from streams.sources import DAY_S, HOUR_S, LIVE, SOURCES, late_s, missing, needs
from streams.topics import SOURCE_TOPICS
from tools.generate_sources import PAGE, documents, shown

if TYPE_CHECKING:
    from streams.columns import Columns

RECORDINGS = Path("replay/recordings")
BY_ID = {source.id: source for source in SOURCES}
LIVE_SOURCES = tuple(source for source in SOURCES if not source.recorded)
RECORDED = tuple(source.id for source in SOURCES if source.recorded)
ASKED_OTHERWISE = frozenset({"records_in", "today_lag_seconds", "view_as_of"})
"""They tell of records themselves."""

pytestmark = pytest.mark.timeout(120)


@functools.cache
def recording(source: str) -> Recording:
    names = {"online_retail": "online-retail-2010-11", "open_bandit": "open-bandit-men"}
    if source in names:
        return Recording.open(RECORDINGS / names[source])
    folder = Path(tempfile.mkdtemp()) / "day"
    generate(folder, seed=5, scale=0.1, compression="none")
    return Recording.open(folder)


@functools.cache
def columns(source: str) -> Columns:
    opened = recording(source)
    return load_columns(opened, Settings().with_shops(opened.shops))


def records(source: str) -> list[tuple[dict[str, Any], int]]:
    found = []
    for line in recording(source).lines():
        assert line.value is not None
        found.append((msgspec.json.decode(line.value), line.timestamp_ms))
    return found


@pytest.mark.parametrize("source", RECORDED)
def test_a_recording_holds_the_event_types_that_the_page_says(source: str) -> None:
    assert {event["event_type"] for event, _ in records(source)} == BY_ID[source].late_s.keys()


def test_records_of_the_generated_day_are_as_late_as_the_page_says_and_no_earlier() -> None:
    """The day's network delays single records by minutes to hours, so the middle one is looked at."""
    said = BY_ID["generated_day"].late_s
    late: dict[str, list[float]] = {}
    for event, at_ms in records("generated_day"):
        begun_ms = event.get("bucket_start_ms", event["occurred_at_ms"])
        late.setdefault(event["event_type"], []).append((at_ms - begun_ms) / 1000)
    middle = {name: sorted(found)[len(found) // 2] for name, found in late.items()}
    for name in ("product_impression", "order_paid", "stock_changed", "violation", "checkout_started"):
        assert middle[name] < 60
    assert 600 < middle["content_engagement"] <= said["content_engagement"] + 60
    assert HOUR_S < middle["ad_metric"] <= said["ad_metric"]


@pytest.mark.parametrize("source", RECORDED)
def test_a_metric_has_figures_in_a_recording_only_where_the_page_says_so(source: str) -> None:
    known, faults = columns(source), []
    for metric in METRICS.values():
        if metric.id in ASKED_OTHERWISE or metric.is_comparison:
            continue
        request = parse_request({"metrics": metric.id, "window": "all", "by": by_of(metric.id)})
        rows = run(known, request, now_ms=known.vouched_ms).rows
        told = any(row[metric.id] is not None for row in rows)
        available = late_s(metric, [BY_ID[source]]) is not None
        if told and not available:
            faults.append(f"{metric.id}: not available, says the page, and there are figures")
        if available and not told and metric.id not in RARE:
            faults.append(f"{metric.id}: available, says the page, and there is no figure")
    assert [each for each in faults if each.split(":")[0] not in STATES] == []


STATES = frozenset({"orders_by_status", "cancel_rate"})
"""An order of which no state is known counts as paid."""
RARE = frozenset(
    {
        *("gmv_last_15m", "orders_last_15m", "viewers_now", "live_gmv_growth_pct", "content_push_lift"),
        *("cpp", "cpp_first_time"),
    }
)
"""A day as small as a test's may have none: nothing is on air at its end, no ad has led to a purchase."""


def by_of(metric: str) -> str:
    dims, formula = METRICS[metric].dims, METRICS[metric].formula
    if isinstance(formula, Rank):
        return formula.among[0]
    return next(
        (dim for dim in ("product", "content", "creator", "campaign", "slice", "owner") if dim in dims), ""
    )


def test_every_event_type_that_a_worker_reads_has_a_source() -> None:
    given = {each for source in SOURCES for each in source.late_s}
    assert {each for topic in SOURCE_TOPICS for each in topic.event_types} == given


def test_a_live_shop_can_have_every_metric() -> None:
    assert {metric.id: missing(metric, LIVE_SOURCES) for metric in METRICS.values()} == {
        name: [] for name in METRICS
    }


def test_counts_of_traffic_may_come_from_ready_made_totals_and_people_may_not() -> None:
    shop = [BY_ID["tiktok_shop"]]
    assert late_s(METRICS["product_impressions"], shop) == DAY_S
    assert late_s(METRICS["ctor"], shop) == DAY_S
    assert late_s(METRICS["unique_product_impressions"], shop) is None
    assert late_s(METRICS["atc_rate_pdp"], shop) is None


def test_a_rate_is_as_late_as_the_later_of_its_parts() -> None:
    assert needs(METRICS["roas_net"]) == (frozenset({"ad_metric"}), frozenset({"refund"}))
    both = [BY_ID["tiktok_shop"], BY_ID["ad_platform"]]
    assert late_s(METRICS["roas_net"], both) == HOUR_S
    assert late_s(METRICS["roas_net"], [BY_ID["tiktok_shop"]]) is None
    assert late_s(METRICS["gmv"], both) == LIVE


def test_of_two_sources_the_quicker_one_counts() -> None:
    assert late_s(METRICS["stock_on_hand"], [BY_ID["tiktok_shop"], BY_ID["own_producers"]]) == LIVE
    assert late_s(METRICS["stock_on_hand"], [BY_ID["tiktok_shop"]]) == 900


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "-"), (0, "live"), (900, "15 min late"), (7_200, "2 h late")]
)
def test_lateness_is_told_in_words(seconds: int | None, words: str) -> None:
    assert shown(seconds) == words


def test_the_page_has_a_row_for_every_metric() -> None:
    page = documents(Path())[PAGE]
    assert [name for name in METRICS if f"(METRICS.md#{name}) |" not in page] == []
