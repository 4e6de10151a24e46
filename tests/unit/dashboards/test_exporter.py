"""What Prometheus gets."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from dashboards import series
from dashboards.exporter import Exporter, SnapshotCollector
from streams.atoms import SLICES
from streams.catalogue import METRICS
from streams.columns import Columns
from streams.days import HOUR_MS
from streams.outcomes import DEAD_LETTERS, Outcome
from streams.settings import BoardSettings, Settings, ShopSettings
from tests.unit.dashboards.shops import NOW_MS, FixedBoard, empty_board, full_board, orders_board

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exposition(board: FixedBoard) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        SnapshotCollector(Exporter(board, streams_open=lambda: 3, evaluated_ms=lambda: NOW_MS).snapshot())
    )
    return generate_latest(registry).decode()


def scraped(board: FixedBoard) -> Samples:
    """Return the samples as a scraper parses them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(board))
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_figures_are_those_of_the_query_layer_in_base_units() -> None:
    samples = scraped(orders_board())
    assert value(samples, "warroom_gmv", shop="s1", slice="all", window="today") == pytest.approx(308 * 14.5)
    assert value(samples, "warroom_orders", shop="s1", slice="all", window="today") == 308
    # Six sources in turn: the Shop tab has every sixth order, all of GBP 14.50.
    assert value(samples, "warroom_gmv", shop="s1", slice="shop_tab", window="today") == pytest.approx(
        51 * 14.5
    )


def test_a_null_has_no_sample_because_absence_is_not_zero() -> None:
    names = {name for name, _ in scraped(orders_board())}
    assert "warroom_product_clicks" not in names
    assert "warroom_ctor_ratio" not in names
    assert "warroom_campaign_target" not in names


def test_a_campaign_has_its_goal_as_a_ratio_and_the_reference_its_own_window() -> None:
    samples = scraped(full_board())
    assert value(samples, "warroom_campaign_target", shop="s1", campaign="bf") == 30_000
    progress = value(samples, "warroom_goal_progress_ratio", shop="s1", campaign="bf")
    gmv = value(samples, "warroom_gmv", shop="s1", slice="all", window="today")
    assert progress is not None
    assert gmv is not None
    assert progress == pytest.approx(gmv / 30_000)
    reference = value(samples, "warroom_gmv", shop="s1", slice="all", window="reference")
    assert reference is not None
    assert 0 < reference < gmv
    assert value(samples, "warroom_gmv", shop="s1", slice="all", window="last_15m")


def test_labels_are_the_declared_ones_and_a_sku_or_a_person_never_is_one() -> None:
    for name, labels in scraped(full_board()):
        keys = {key for key, _ in labels}
        allowed = set(series.INFO_LABELS) if name == "warroom_shop_info" else set(series.LABELS)
        assert keys <= allowed, name


def test_every_sample_belongs_to_a_declared_series_with_its_labels() -> None:
    declared = {one.exposed: set(one.labels) for one in series.ALL}
    for name, labels in scraped(full_board()):
        assert {key for key, _ in labels} == declared[name], name


def test_records_by_outcome_start_at_zero_and_sum_to_what_was_read() -> None:
    samples = scraped(orders_board())
    orders = [
        value(samples, "warroom_records_by_outcome", topic="orders", outcome=outcome.value)
        for outcome in Outcome
    ]
    assert None not in orders
    assert sum(found or 0 for found in orders) == 308
    assert value(samples, "warroom_records_read_total", topic="orders") == 308
    assert value(samples, "warroom_dead_letters_total", topic="orders", outcome="rejected_schema") == 0


def test_only_reasons_for_a_dead_letter_count_as_dead_letters() -> None:
    reasons = {
        dict(labels)["outcome"]
        for name, labels in scraped(orders_board())
        if name == "warroom_dead_letters_total"
    }
    assert reasons == {outcome.value for outcome in DEAD_LETTERS}


def test_times_are_exported_as_instants_in_seconds() -> None:
    samples = scraped(full_board())
    assert value(samples, "warroom_now_timestamp_seconds") == NOW_MS / 1000
    assert value(samples, "warroom_last_evaluation_timestamp_seconds") == NOW_MS / 1000
    assert value(samples, "warroom_alerts_open", shop="s1") == 1
    assert value(samples, "warroom_event_streams") == 3


def test_while_the_board_loads_only_health_is_exported() -> None:
    board = full_board()
    board.waiting = "state partition 2"
    samples = scraped(board)
    assert value(samples, "warroom_ready") == 0
    assert not [name for name, _ in samples if name == "warroom_gmv"]


def test_over_the_budget_whole_shops_are_dropped_and_counted() -> None:
    board = orders_board(series_budget=60)
    samples = scraped(board)
    assert len(samples) <= 60
    assert value(samples, "warroom_series_dropped") == series.A_SHOP
    assert not [name for name, labels in samples if ("shop", "s1") in labels]


def test_many_shops_never_exceed_the_budget() -> None:
    shops = {f"shop-{number}": ShopSettings(f"shop-{number}") for number in range(90)}
    settings = Settings(shops=shops, board=BoardSettings(series_budget=100))
    snapshot = Exporter(FixedBoard(settings, Columns(settings)), streams_open=lambda: 0).snapshot()
    assert len(snapshot.samples) <= 100
    assert snapshot.dropped > 0


def test_the_written_budget_holds() -> None:
    """The arithmetic in the docstring of `dashboards.series`, from the data it speaks of."""
    figures = len(series.SLICED) * len(SLICES) * 2 + len(series.RECENT) * len(SLICES) + len(series.REFERENCED)
    a_shop = figures + len(series.CAMPAIGN) + len(series.SHOP) + 3 + 2 * 6
    assert a_shop == series.A_SHOP
    assert len(Exporter(full_board(), streams_open=lambda: 0).snapshot().samples) <= 238 + a_shop


def test_names_follow_the_conventions_and_hostile_ids_are_escaped() -> None:
    for one in series.BUSINESS.values():
        assert one.name.startswith(series.PREFIX)
        assert not one.name.endswith(("_total", "_pct", "_ms"))
    assert all(series.series_name(name).endswith("_ratio") for name in ("ctr", "ctor", "goal_progress_pct"))
    hostile = 'a"b\\c\nd'
    settings = Settings(shops={hostile: ShopSettings(hostile)})
    samples = scraped(FixedBoard(settings, Columns(settings)))
    assert value(samples, "warroom_alerts_open", shop=hostile) == 0
    assert set(series.BUSINESS) <= set(METRICS)


@pytest.mark.integration
@pytest.mark.parametrize("made", [full_board, orders_board, empty_board])
def test_promtool_finds_no_fault(made: Callable[[], FixedBoard]) -> None:
    board = made()
    board.at_ms = NOW_MS + HOUR_MS
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail("promtool is missing; run: make tools")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposition(board),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
