"""The direct engine: one answer however keys are spread, as known at any time, nothing unaccounted for."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiokafka.partitioner import DefaultPartitioner

from replay.direct import direct_flushes, load_columns
from replay.engine import whole_recording
from replay.generator.scenario import generate
from replay.manifest import Manifest
from replay.recording import Line, Recording
from replay.routing import route
from replay.writing import RecordingWriter
from streams.columns import Columns
from streams.cubes import CUBES
from streams.outcomes import COUNTING, Outcome
from streams.query import parse_request, run
from streams.settings import FoldSettings, Settings, ShopSettings

SHOP_ID = "lumen-and-loom"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("day") / "r"
    generate(folder, seed=11, scale=0.05)
    return Recording.open(folder)


def cells(columns: Columns) -> dict[str, list[tuple[Any, ...]]]:
    return {
        cube.name: sorted(
            columns.cube(cube.name, SHOP_ID).drop("slot").select(pl.all().cast(pl.String)).iter_rows()
        )
        for cube in CUBES
    }


def facts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return facts without the numbers that a reader gives them as they arrive."""
    kept = frame.drop("slot", "customer_no", "sku_no", "user_no", strict=False)
    return kept.sort(pl.all())


def spread(recording: Recording, partitions: int) -> Columns:
    columns = Columns(Settings().with_shops(recording.shops))
    for flush in direct_flushes(recording, Settings(), partitions=partitions):
        columns.apply(flush)
    return columns


def test_one_partition_and_eight_come_to_the_same(day: Recording) -> None:
    one, eight = spread(day, 1), spread(day, 8)
    assert len({partition for partition, _ in eight.positions()}) == 8
    assert cells(one) == cells(eight)
    assert facts(one.order_lines(SHOP_ID)).equals(facts(eight.order_lines(SHOP_ID)))
    assert facts(one.stock_levels(SHOP_ID)).equals(facts(eight.stock_levels(SHOP_ID)))

    def counted(columns: Columns, topic: str) -> int:
        return sum(count for outcome, count in columns.outcomes()[topic].items() if outcome in COUNTING)

    for topic in one.outcomes():
        assert sum(one.outcomes()[topic].values()) == sum(eight.outcomes()[topic].values())
        assert counted(one, topic) == counted(eight, topic)


def test_it_counts_what_the_manifest_says_was_recorded(day: Recording) -> None:
    columns = load_columns(day, Settings())
    read = {topic: sum(outcomes.values()) for topic, outcomes in columns.outcomes().items() if outcomes}
    assert read == {topic.removeprefix("cm."): count.records for topic, count in day.manifest.topics.items()}
    assert not {outcome for outcomes in columns.outcomes().values() for outcome in outcomes} & {
        Outcome.REJECTED_SCHEMA,
        Outcome.REJECTED_TYPE,
        Outcome.TOO_LATE,
    }


def test_sales_are_those_of_the_truth(day: Recording) -> None:
    truth: Any = day.manifest.other["truth"]
    lines = load_columns(day, Settings()).order_lines(SHOP_ID)
    assert lines["order_id"].n_unique() == truth["orders"]
    paid = lines.select(pl.col("goods_minor") + pl.col("shipping_minor"))
    assert paid.sum().item() == truth["gmv_minor"]


def test_at_a_time_it_knows_the_records_that_had_arrived_by_then(day: Recording) -> None:
    at_ms = (day.starts_at_ms + day.ends_at_ms) // 2
    columns = load_columns(day, Settings(), until_ms=at_ms)
    arrived = Counter(line.topic.removeprefix("cm.") for line in day.lines() if line.timestamp_ms <= at_ms)
    assert {topic: sum(found.values()) for topic, found in columns.outcomes().items() if found} == dict(
        arrived
    )
    assert columns.vouched_ms == at_ms


def test_read_to_its_end_it_is_complete_up_to_the_last_record(day: Recording) -> None:
    assert load_columns(day, Settings()).vouched_ms == day.ends_at_ms
    later = day.ends_at_ms + 1_000_000
    assert load_columns(day, Settings(), until_ms=later).vouched_ms == day.ends_at_ms


def test_history_gets_partition_numbers_of_its_own(day: Recording) -> None:
    flushes = list(direct_flushes(day, Settings(), first_partition=1000))
    assert {flush.partition for flush in flushes} == {1000}


def impression(number: int, at_ms: int, **more: object) -> dict[str, object]:
    return {
        "event_id": f"e{number}",
        "event_type": "product_impression",
        "shop_id": "s1",
        "occurred_at_ms": at_ms,
        "product_id": "p",
        **more,
    }


def written(folder: Path, lines: list[tuple[str, str | None, int, dict[str, object] | None]]) -> Recording:
    manifest = Manifest("x", {"s1": ShopSettings("s1", "Europe/London", "GBP")})
    with RecordingWriter(folder, manifest) as writer:
        for topic, key, at_ms, value in lines:
            writer.write(topic, key, at_ms, None if value is None else json.dumps(value).encode())
    return Recording.open(folder)


BEGIN_MS = 1_290_000_000_000


def test_the_event_type_decides_the_topic_and_the_unknown_stays_where_it_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = written(
        tmp_path / "r",
        [
            ("cm.clicks", "k", BEGIN_MS, impression(1, BEGIN_MS)),
            ("cm.weather", "k", BEGIN_MS + 1, impression(2, BEGIN_MS)),
            ("cm.clicks", "k", BEGIN_MS + 2, {"event_type": "rain"}),
            ("cm.stock", "k", BEGIN_MS + 3, None),
            ("cm.weather", "k", BEGIN_MS + 4, {"event_type": "hail"}),
        ],
    )
    with caplog.at_level(logging.WARNING):
        found = load_columns(recording, Settings()).outcomes()
    assert found["impressions"] == {Outcome.COUNTED: 2}
    assert found["clicks"] == {Outcome.REJECTED_TYPE: 1}
    assert found["stock"] == {Outcome.REJECTED_SCHEMA: 1}
    assert "1 records of cm.weather" in caplog.text


def test_the_partition_is_that_of_kafkas_default_partitioner() -> None:
    for key in (b"u-3de4462c", b"o-20261127-00001", b"", "Linen / Größe M".encode()):
        line = Line("cm.orders", key, 1, b'{"event_type":"order_paid"}')
        assert route(line, 8) == ("orders", DefaultPartitioner()(key, list(range(8)), list(range(8))))


def test_a_repeat_without_a_key_finds_the_partition_of_its_first_copy() -> None:
    first = Line("cm.clicks", None, 1, b'{"event_type":"product_click","event_id":"e7","ingested_at_ms":1}')
    again = Line("cm.clicks", None, 2, b'{"ingested_at_ms":2,"event_id":"e7","event_type":"product_click"}')
    assert route(first, 64) == route(again, 64)


def test_keys_spread_over_all_partitions() -> None:
    lines = [
        Line("cm.clicks", f"u{number}".encode(), 1, b'{"event_type":"product_click"}')
        for number in range(400)
    ]
    assert {place[1] for line in lines if (place := route(line, 8))} == set(range(8))


def test_a_long_recording_keeps_all_its_days_and_minutes(tmp_path: Path) -> None:
    days = 100
    lines = [
        ("cm.impressions", None, BEGIN_MS + day * 86_400_000, impression(day, BEGIN_MS + day * 86_400_000))
        for day in range(days)
    ]
    # An event of the first day that arrives on the last: as late as the recording is long, and still counted.
    lines.append(("cm.impressions", None, BEGIN_MS + (days - 1) * 86_400_000 + 5, impression(days, BEGIN_MS)))
    recording = written(tmp_path / "r", list(lines))
    settings = whole_recording(FoldSettings(), recording)
    assert settings.hot_days >= days
    columns = load_columns(recording, Settings())
    assert columns.outcomes()["impressions"] == {Outcome.COUNTED: days, Outcome.COUNTED_LATE: 1}
    minutes = columns.cube("shop_minute", "s1")
    assert minutes["count"].sum() == days + 1


@pytest.mark.parametrize("ends_at_ms", [None, BEGIN_MS + 3_600_000, BEGIN_MS + 900 * 86_400_000])
def test_what_a_recording_keeps_hangs_on_its_records_and_not_on_its_manifest(
    tmp_path: Path, ends_at_ms: int | None
) -> None:
    days = 100
    lines = [
        ("cm.impressions", None, BEGIN_MS + day * 86_400_000, impression(day, BEGIN_MS + day * 86_400_000))
        for day in range(days)
    ]
    # Older than the recording is long: too late, as Kafka's worker would say.
    lines.append(
        (
            "cm.impressions",
            None,
            BEGIN_MS + (days - 1) * 86_400_000 + 5,
            impression(days, BEGIN_MS - 10 * 86_400_000),
        )
    )
    path = written(tmp_path / "r", list(lines)).folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "ends_at_ms": ends_at_ms}))
    columns = load_columns(Recording.open(path.parent), Settings())
    assert columns.outcomes()["impressions"] == {Outcome.COUNTED: days, Outcome.TOO_LATE: 1}
    assert columns.cube("shop_minute", "s1")["count"].sum() == days


def test_a_short_recording_does_not_keep_less_than_settings_say(day: Recording) -> None:
    assert whole_recording(FoldSettings(hot_days=400, minute_hours=9_000), day) == FoldSettings(
        hot_days=400, minute_hours=9_000
    )


def test_a_rebased_day_gives_the_same_numbers_on_another_date(day: Recording) -> None:
    # 1 December 2026, noon in Los Angeles.
    moved = day.rebased(today_ms=1_796_155_200_000)
    before, after = load_columns(day, Settings()), load_columns(moved, Settings())
    days = {
        "before": before.order_lines(SHOP_ID)["day"].unique(),
        "after": after.order_lines(SHOP_ID)["day"].unique(),
    }
    assert days["after"].to_list() == [one + 4 for one in days["before"].to_list()]
    assert before.order_lines(SHOP_ID)["goods_minor"].sum() == after.order_lines(SHOP_ID)["goods_minor"].sum()
    assert before.outcomes() == after.outcomes()


def test_now_is_the_last_record_and_not_what_a_manifest_says(tmp_path: Path) -> None:
    day_ms = 86_400_000
    recording = written(tmp_path / "r", [("cm.impressions", None, BEGIN_MS, impression(1, BEGIN_MS))])
    document = json.loads((tmp_path / "r" / "manifest.json").read_text())
    # The end of the window that was recorded, say, instead of the last record.
    wrong = document | {"starts_at_ms": BEGIN_MS - day_ms, "ends_at_ms": BEGIN_MS + day_ms}
    (tmp_path / "r" / "manifest.json").write_text(json.dumps(wrong))
    assert load_columns(Recording.open(recording.folder), Settings()).vouched_ms == BEGIN_MS


def test_what_does_not_count_is_said_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        ("cm.impressions", None, BEGIN_MS + number, impression(number, BEGIN_MS, product_id=product))
        for number, product in enumerate(("p", "", "", "p"))
    ]
    with caplog.at_level(logging.WARNING):
        columns = load_columns(written(tmp_path / "r", list(lines)), Settings())
    assert columns.outcomes()["impressions"] == {Outcome.COUNTED: 2, Outcome.REJECTED_SCHEMA: 2}
    assert (
        "2 records of impressions do not count, rejected_schema; the first: product_id has 0" in caplog.text
    )


def test_a_basket_with_a_line_of_no_units_counts_whole(tmp_path: Path) -> None:
    # Real baskets hold such lines (5,677 of 976,544 in eight months of one grocer).
    money = (
        "list_price",
        "shipping_paid",
        "tax",
        "seller_discount",
        "cofund_product",
        "cofund_shipping",
        "coupon",
    )
    lines = [
        {"line_id": number, "product_id": 7, "sku_id": sku, "quantity": units, "goods_paid_minor": paid}
        | {f"{name}_minor": 0 for name in money}
        for number, (sku, units, paid) in enumerate([("a", 2, 500), ("b", 0, 25)])
    ]
    times = dict.fromkeys(("occurred_at_ms", "paid_at_ms", "created_at_ms"), BEGIN_MS)
    order = {"event_id": "o", "event_type": "order_paid", "shop_id": "s1", "order_id": 1, "customer_id": 2}
    recording = written(
        tmp_path / "r", [("cm.orders", "1", BEGIN_MS, {**order, **times, "credits_minor": 0, "lines": lines})]
    )
    columns = load_columns(recording, Settings())
    request = parse_request({"metrics": "gmv,orders,sku_orders,items_sold", "window": "all"})
    (row,) = run(columns, request, now_ms=columns.vouched_ms).rows
    assert row == {"gmv": 5.25, "orders": 1, "sku_orders": 2, "items_sold": 2}


def test_where_nothing_counts_a_recordings_only_shop_is_meant_and_not_those_of_the_settings(
    tmp_path: Path,
) -> None:
    foreign = impression(1, BEGIN_MS, shop_id="unknown")
    recording = written(tmp_path / "r", [("cm.impressions", None, BEGIN_MS, foreign)])
    settings = Settings(shops={"live": ShopSettings("live", "Europe/London", "GBP")})
    assert load_columns(recording, settings).shops() == ["s1"]
