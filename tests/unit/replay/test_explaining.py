"""Why a rule fired in a recording: the day looked on from the shop's midnight."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from replay.explaining import explain_recording
from replay.looking_back import columns_at
from replay.manifest import Manifest
from replay.recording import Recording
from replay.writing import RecordingWriter
from streams.days import HOUR_MS, MINUTE_MS
from streams.errors import QueryError
from streams.settings import Settings, ShopSettings
from streams.topics import TOPIC_OF_TYPE
from tests.unit.streams.boards import SHOP, at, stock
from tests.unit.streams.test_stock import campaign, sales

NINE_PM = at("2024-11-29 21:00")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sold a minute all day; sixty left at 19:58, none from 20:50 on, plenty from 20:55."""
    path = tmp_path_factory.mktemp("day") / "r"
    events = [
        campaign(at("2024-11-30 00:00"), "A", target_value=5_000.0, starts_at_ms=at("2024-11-29 00:00")),
        *sales("A1", 60, 9, until_ms=NINE_PM),
        stock("A1", 900, at("2024-11-29 12:00")),
        stock("A1", 60, at("2024-11-29 19:58")),
        stock("A1", 0, at("2024-11-29 20:50")),
        stock("A1", 900, at("2024-11-29 20:55")),
    ]
    manifest = Manifest("day", {SHOP: ShopSettings(SHOP, "UTC", "USD")})
    with RecordingWriter(path, manifest) as writer:
        for event in sorted(events, key=lambda each: each.occurred_at_ms):
            topic = f"cm.{TOPIC_OF_TYPE[event.event_type]}"
            writer.write(topic, "k", event.occurred_at_ms, msgspec.json.encode(event))
    return path


def test_columns_grow_with_the_instants(folder: Path) -> None:
    recording = Recording.open(folder)
    instants = [at("2024-11-29 18:00"), at("2024-11-29 20:30"), at("2024-11-29 20:52")]
    seen = [
        (columns.order_lines(SHOP).height, columns.stock_levels(SHOP).item(0, "available"))
        for _, columns in columns_at(recording, Settings(), instants)
    ]
    # Sales lie half a minute after the full one.
    assert seen == [(360, 900), (510, 60), (532, 0)]


def test_a_page_is_explained_at_the_minute_that_it_was_sent_and_before(folder: Path) -> None:
    page = explain_recording(folder, Settings(), "A-01", "A1", at="2024-11-29T20:10", shop_id=None)
    assert page.is_open
    opened_ms = page.opened_at_ms
    assert opened_ms is not None
    assert at("2024-11-29 19:59") <= opened_ms <= at("2024-11-29 20:03")
    assert page.history[0][1] == "fires"
    before = explain_recording(
        folder, Settings(), "oos_forecast", "A1", at=str(NINE_PM - 90 * MINUTE_MS), shop_id=SHOP
    )
    assert (before.is_open, before.incident_id) == (False, "")
    assert before.judgement in {"clear", "between"}


def test_the_stock_out_knows_what_the_forecast_had_said(folder: Path) -> None:
    out = explain_recording(folder, Settings(), "A-02", "A1", at="2024-11-29T20:52", shop_id=None)
    assert out.is_open
    assert "is out of stock since 20:50, predicted ~" in out.sentence
    after = explain_recording(folder, Settings(), "A-01", "A1", at="2024-11-29T20:52", shop_id=None)
    assert (after.is_open, after.judgement) == (True, "between")
    assert "ran out 20:50, predicted ~" in after.sentence


def test_without_an_instant_it_is_the_end_of_the_recording(folder: Path) -> None:
    end = explain_recording(folder, Settings(), "A-02", "A1", at=None, shop_id=None)
    assert end.at_ms == Recording.open(folder).span_ms()[1]
    assert NINE_PM - HOUR_MS < end.at_ms <= NINE_PM


@pytest.mark.parametrize(
    ("rule", "shop", "when", "reason"),
    [
        ("A-99", None, None, "unknown_rule"),
        ("A-01", "other", None, "unknown_shop"),
        ("A-01", None, "soon", "bad_request"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    folder: Path, rule: str, shop: str | None, when: str | None, reason: str
) -> None:
    with pytest.raises(QueryError) as refused:
        explain_recording(folder, Settings(), rule, "A1", at=when, shop_id=shop)
    assert refused.value.reason == reason
