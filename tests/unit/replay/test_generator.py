"""The generated day: seeded, well formed, and as its manifest says that it is."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl
import pytest

from replay.generator.measure import measure_online_retail, measure_open_bandit
from replay.generator.scenario import generate
from replay.recording import Line, Recording
from streams.errors import RecordingError
from streams.events import EVENT_TYPES, Event, Heartbeat, OrderPaid, Refund, StockChanged
from streams.topics import TOPIC_OF_TYPE

T = TypeVar("T", bound=Event)

SCALE = 0.2
MINUTE_MS = 60_000


class Day:
    """A generated day, read back."""

    def __init__(self, folder: Path) -> None:
        self.recording = Recording.open(folder)
        self.truth: Any = self.recording.manifest.other["truth"]
        self.lines: list[Line] = list(self.recording.lines())
        self.events: list[tuple[Line, Event]] = []
        kind = msgspec.json.Decoder(Event)
        decoders = {name: msgspec.json.Decoder(found) for name, found in EVENT_TYPES.items()}
        for line in self.lines:
            value = line.value or b""
            self.events.append((line, decoders[kind.decode(value).event_type].decode(value)))

    def of(self, kind: type[T]) -> list[tuple[Line, T]]:
        seen: set[str | int] = set()
        found = []
        for line, event in self.events:
            if isinstance(event, kind) and event.event_id not in seen:
                seen.add(event.event_id)
                found.append((line, event))
        return found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day") / "r"
    generate(folder, seed=3, scale=SCALE)
    return Day(folder)


def test_every_line_is_an_event_on_the_topic_of_its_type_in_the_order_of_r(day: Day) -> None:
    # Ready-made counts and history are of sources that this shop does not have.
    without = {"traffic_totals", "history"}
    assert {line.topic.removeprefix("cm.") for line in day.lines} == set(TOPIC_OF_TYPE.values()) - without
    assert all(line.topic == f"cm.{TOPIC_OF_TYPE[event.event_type]}" for line, event in day.events)
    stamps = [line.timestamp_ms for line in day.lines]
    assert stamps == sorted(stamps)
    assert day.recording.warnings == []
    assert all(line.timestamp_ms >= event.occurred_at_ms for line, event in day.events)


def test_the_recording_is_one_day_of_the_shop(day: Day) -> None:
    # 27 November 2026 in Los Angeles begins at 08:00 UTC.
    start, end = 1_795_766_400_000, 1_795_852_800_000
    assert start <= day.lines[0].timestamp_ms
    assert day.lines[-1].timestamp_ms < end
    assert all(start <= event.occurred_at_ms < end for _, event in day.events)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        generate(tmp_path / name, seed=seed, scale=0.01)
    files = {name: (tmp_path / name / "part-0000.jsonl.zst").read_bytes() for name in "abc"}
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_it_says_that_it_is_synthetic_and_where_each_number_is_from(day: Day) -> None:
    manifest = day.recording.manifest
    assert manifest.synthetic
    assert "synthetic" in manifest.name
    parameters: Any = manifest.other["parameters"]
    assert all(parameter["basis"] in {"measured", "assumed"} for parameter in parameters.values())
    assert {parameter["on"] for parameter in parameters.values() if parameter["basis"] == "measured"} == {
        "open_bandit/impressions_men",
        "uci_online_retail/online_retail_2009_2010",
    }


def test_orders_follow_clicks_and_money_is_as_the_truth_says(day: Day) -> None:
    counts = Counter(event.event_type for _, event in day.events)
    orders = day.of(OrderPaid)
    pairs = sum(len({line.sku_id for line in order.lines}) for _, order in orders)
    # CTR inside the 1 to 5 %, CTOR inside the 3 to 8 % of a good day of LIVEs.
    assert 0.01 < counts["product_click"] / counts["product_impression"] < 0.05
    assert 0.03 < pairs / counts["product_click"] < 0.08
    assert len(orders) == day.truth["orders"]
    gmv = sum(line.goods_paid_minor + line.shipping_paid_minor for _, order in orders for line in order.lines)
    assert gmv == day.truth["gmv_minor"]
    assert 0.9 * gmv < day.truth["goal_minor"] < 1.2 * gmv


def test_no_line_costs_more_than_its_price_and_discounts_add_up(day: Day) -> None:
    for _, order in day.of(OrderPaid):
        for line in order.lines:
            full = line.list_price_minor * line.quantity
            assert full == (
                line.goods_paid_minor
                + line.seller_discount_minor
                + line.coupon_minor
                + line.cofund_product_minor
            )


def test_stock_is_what_was_there_less_what_was_sold(day: Day) -> None:
    levels: dict[str, int] = {}
    for _, move in sorted(
        day.of(StockChanged), key=lambda found: (str(found[1].sku_id), found[1].version or 0)
    ):
        sku = str(move.sku_id)
        if move.reason == "sync":
            levels[sku] = move.available
        else:
            levels[sku] += move.change or 0
        assert move.available == levels[sku] >= 0
    sold = Counter[str]()
    for _, order in day.of(OrderPaid):
        sold.update({str(line.sku_id): 0 for line in order.lines})
        for line in order.lines:
            sold[str(line.sku_id)] += line.quantity
    moved = Counter[str]()
    for _, move in day.of(StockChanged):
        if move.reason == "sale":
            moved[str(move.sku_id)] -= move.change or 0
    assert moved == sold


def test_the_best_seller_runs_out_about_21_40_and_is_not_sold_until_restocked(day: Day) -> None:
    sku = "Linen wrap dress / M"
    out_ms = next(one["at_ms"] for one in day.truth["stockouts"] if one["sku_id"] == sku)
    back_ms = next(one["at_ms"] for one in day.truth["restocks"] if one["sku_id"] == sku)
    start = 1_795_766_400_000
    assert start + 20.5 * 60 * MINUTE_MS < out_ms < start + 22.25 * 60 * MINUTE_MS
    paid = [
        order.paid_at_ms for _, order in day.of(OrderPaid) if any(line.sku_id == sku for line in order.lines)
    ]
    assert any(at_ms == out_ms for at_ms in paid)
    assert not any(out_ms < at_ms < back_ms for at_ms in paid)


def test_the_clicks_feed_is_silent_in_the_gap_and_sends_all_of_it_afterwards(day: Day) -> None:
    gap = day.truth["feed_gap"]
    inside = [
        (line, event) for line, event in day.events if gap["from_ms"] <= line.timestamp_ms < gap["to_ms"]
    ]
    assert not any(line.topic == "cm.clicks" for line, _ in inside)
    beats = {event.source for _, event in inside if isinstance(event, Heartbeat)}
    assert "pixel" in beats
    assert "click-tracker" not in beats
    held = {
        event.event_id
        for line, event in day.events
        if line.topic == "cm.clicks"
        and event.occurred_at_ms < gap["to_ms"] - 20_000
        and gap["to_ms"] <= line.timestamp_ms < gap["to_ms"] + MINUTE_MS
    }
    assert 0 < len(held) <= gap["withheld"]
    # No heartbeat vouches for them before they are there.
    arrived_ms = max(line.timestamp_ms for line, event in day.events if event.event_id in held)
    vouching = [
        line.timestamp_ms
        for line, event in day.events
        if isinstance(event, Heartbeat)
        and event.source == "click-tracker"
        and event.sent_until_ms > gap["from_ms"]
    ]
    assert min(vouching) > min(arrived_ms, gap["to_ms"] + 17_000)
    impressions_in_gap = sum(line.topic == "cm.impressions" for line, _ in inside)
    assert impressions_in_gap > 100


def test_about_two_percent_come_twice_and_only_within_the_repeat_window(day: Day) -> None:
    first: dict[tuple[str, str | int], tuple[int, bytes | None]] = {}
    repeats = 0
    for line, event in day.events:
        seen = first.setdefault((line.topic, event.event_id), (line.timestamp_ms, line.value))
        if seen[0] != line.timestamp_ms:
            repeats += 1
            assert line.timestamp_ms - seen[0] < 10 * MINUTE_MS
            assert line.value == seen[1]
    beats = sum(line.topic == "cm.heartbeats" for line in day.lines)
    assert 0.015 < repeats / (len(day.lines) - beats) < 0.025
    assert repeats == pytest.approx(day.truth["repeated_records"], abs=5)


def test_some_traffic_is_late_by_minutes_to_hours(day: Day) -> None:
    late = [
        line.timestamp_ms - event.occurred_at_ms
        for line, event in day.events
        if line.topic == "cm.impressions" and line.timestamp_ms - event.occurred_at_ms > 2 * MINUTE_MS
    ]
    assert 0.001 < len(late) / len(day.lines) < 0.02
    assert max(late) > 60 * MINUTE_MS


def test_a_few_people_make_the_bot_burst_and_buy_nothing(day: Day) -> None:
    burst = day.truth["bot_burst"]
    bots = set(burst["user_keys"])
    found = [event for _, event in day.events if getattr(event, "user_key", None) in bots]
    assert len(found) > 500
    assert not any(isinstance(event, OrderPaid) for event in found)
    assert all(burst["from_ms"] <= event.occurred_at_ms <= burst["to_ms"] for event in found)


def test_cancellations_refund_what_was_paid(day: Day) -> None:
    paid = {
        (order.order_id, line.line_id): line.goods_paid_minor
        for _, order in day.of(OrderPaid)
        for line in order.lines
    }
    cancelled = [refund for _, refund in day.of(Refund) if refund.kind == "cancellation"]
    assert all(paid[refund.order_id, refund.line_id] == refund.amount_minor for refund in cancelled)


def test_an_ordinary_day_has_none_of_the_drama(tmp_path: Path) -> None:
    truth: Any = generate(
        tmp_path / "r", seed=3, scale=SCALE, scenario="ordinary_day", day="2026-11-26"
    ).other["truth"]
    assert truth["goal_minor"] is None
    assert {"feed_gap", "flash_sale", "bot_burst"}.isdisjoint(truth)


@pytest.mark.parametrize("text", ["2026-03-08", "2026-11-01"])
def test_days_of_23_and_25_hours_are_filled_to_their_ends(tmp_path: Path, text: str) -> None:
    manifest = generate(tmp_path / "r", scale=0.02, day=text)
    hours = (manifest.ends_at_ms - manifest.starts_at_ms) / 3_600_000
    assert hours == pytest.approx({"2026-03-08": 23, "2026-11-01": 25}[text], abs=0.05)


def test_a_day_or_scale_out_of_bounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no date"):
        generate(tmp_path / "r", day="Black Friday")
    with pytest.raises(RecordingError, match="scale"):
        generate(tmp_path / "r", scale=0)


def test_measuring_counts_what_it_says() -> None:
    at = dt.datetime(2019, 11, 24, 15, 30, tzinfo=dt.UTC)
    rows = pl.DataFrame({"ts": [at, at, at, at + dt.timedelta(hours=1)], "click": [0, 1, 0, 0]})
    found: Any = measure_open_bandit(rows)
    # 15:30 UTC is half past midnight in Tokyo.
    assert found["impressions_by_hour"][:3] == [0.75, 0.25, 0.0]
    assert found["ctr"] == 0.25

    orders = pl.DataFrame(
        {
            "InvoiceNo": ["1", "2", "2", "3", "C4"],
            "StockCode": ["a", "a", "b", "a", "a"],
            "Quantity": [1, 1, 1, 1, -1],
            "InvoiceDate": [dt.datetime(2010, 1, 1, 9)] * 5,  # noqa: DTZ001  # local time, as in the file
            "UnitPrice": [1.0] * 5,
            "CustomerID": [7, 7, 7, 8, 7],
        }
    )
    measured = measure_online_retail(orders)
    assert measured["return_line_share"] == 0.25
    assert measured["customers_per_order"] == pytest.approx(2 / 3, abs=1e-4)
    # Three lines against one at ranks 1 and 2: log 3 / log 2.
    assert measured["popularity_exponent"] == pytest.approx(1.585, abs=1e-3)
