"""What an alert says."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from streams.alerts import (
    MAX_NAME,
    Alert,
    AlertRoute,
    AlertState,
    DigestLine,
    Resolution,
    ShopClock,
    SoldBy,
    advised,
    clean_name,
    decode_alert,
    encode_alert,
    listed,
    stock_closing,
    stock_opening,
)
from streams.money import compact_money, major, to_minor
from tests.unit.streams.boards import at

ZONE = "America/Los_Angeles"


def local(text: str) -> int:
    return at(f"2024-11-29 {text}", ZONE)


LINEN = Alert(
    alert_id="s1/c1/A-01/A-M/2024-11-29",
    rule="A-01",
    shop_id="s1",
    state=AlertState.OPEN,
    route=AlertRoute.PAGE,
    opened_at_ms=local("20:58"),
    updated_at_ms=local("20:58"),
    timezone=ZONE,
    currency="USD",
    sku_id="A-M",
    name="Linen dress / M",
    predicted_ms=local("21:40"),
    predicted_low_ms=local("21:25"),
    predicted_high_ms=local("22:05"),
    on_hand=38,
    velocity_per_h=52.3,
    gmv_at_risk_minor=410_000,
    horizon_end_ms=at("2024-11-30 00:00", ZONE),
    stock_as_of_ms=local("20:58"),
    sold_by=SoldBy("LIVE", "Friday drop", 0.71),
)


def said(**changes: Any) -> str:
    alert = dataclasses.replace(LINEN, **changes)
    return stock_closing(alert) if alert.state is AlertState.RESOLVED else stock_opening(alert)


def test_a_forecast_reads_as_the_specification_writes_it() -> None:
    # spec/alerts.md, less the ads, which no topic of this version tells of.
    assert advised(said(), "add stock, unpin, ack, why", "Stock as of 20:58.") == (
        "Linen dress / M runs out ~21:40 (21:25-22:05). 38 left, 52/h. At risk $4.1k by midnight. "
        "Sold by LIVE 'Friday drop' 71%. Do: add stock, unpin, ack, why. Stock as of 20:58."
    )


def test_what_no_source_tells_is_left_out() -> None:
    assert said(sold_by=None, gmv_at_risk_minor=0) == (
        "Linen dress / M runs out ~21:40 (21:25-22:05). 38 left, 52/h."
    )


def test_a_place_without_an_id_is_named_without_one() -> None:
    assert said(sold_by=SoldBy("product card", "", 0.6)).endswith("Sold by product card 60%.")


def test_a_late_end_out_of_sight_stays_open() -> None:
    assert "runs out ~21:40 (21:25-?)." in said(predicted_high_ms=None)


def test_another_day_is_named() -> None:
    assert "(21:25-Sat 02:10)" in said(predicted_high_ms=at("2024-11-30 02:10", ZONE))
    assert "(21:25-2024-12-09 02:10)" in said(predicted_high_ms=at("2024-12-09 02:10", ZONE))


def test_a_campaign_that_ends_at_the_last_second_of_the_day_ends_at_midnight() -> None:
    assert "by midnight" in said(horizon_end_ms=local("23:59"))
    assert "by 23:00" in said(horizon_end_ms=local("23:00"))
    assert "by Sun 18:00" in said(horizon_end_ms=at("2024-12-01 18:00", ZONE))


def test_a_sku_that_is_out_says_since_when_and_what_was_predicted() -> None:
    assert said(rule="A-02", actual_ms=local("21:37"), on_hand=0).startswith(
        "Linen dress / M is out of stock since 21:37, predicted ~21:40 (21:25-22:05). Sold 52/h before. At risk"
    )
    assert "Oversold by 3. Sold 52/h before." in said(rule="A-02", on_hand=-3)


def test_a_closing_puts_the_real_time_beside_the_predicted_one() -> None:
    closed = {"state": AlertState.RESOLVED, "resolution": Resolution.RESTOCKED, "actual_ms": local("21:37")}
    assert said(**closed, on_hand=200) == (
        "Resolved: Linen dress / M was restocked. 200 left. Ran out 21:37. Predicted ~21:40 (21:25-22:05)."
    )


def test_a_restock_says_what_there_is_now() -> None:
    closed = {"state": AlertState.RESOLVED, "resolution": Resolution.RESTOCKED, "on_hand": 200}
    assert said(**closed).startswith("Resolved: Linen dress / M was restocked. 200 left.")


def test_a_time_of_the_hour_that_comes_twice_says_which_one_it_is() -> None:
    midnight = at("2026-11-01 00:00", "America/Los_Angeles")
    clock, quarters = ShopClock("America/Los_Angeles", midnight), range(3, 14, 2)
    assert [clock.time(midnight + quarter * 15 * 60_000) for quarter in quarters] == [
        *("00:45", "01:15 PDT", "01:45 PDT", "01:15 PST", "01:45 PST", "02:15")
    ]
    march = at("2027-03-14 00:00", "America/Los_Angeles")
    spring = ShopClock("America/Los_Angeles", march)
    assert [spring.time(march + quarter * 15 * 60_000) for quarter in (7, 9)] == ["01:45", "03:15"]


def test_a_list_without_a_rest_has_no_rest() -> None:
    assert listed(["a", "b"], 0) == "a, b"
    assert listed(["a"], 4_998) == "a and 4,998 more"


@pytest.mark.parametrize(
    "hostile", ["a\nResolved: b", "a\r\nb", "a\u2028b", "a\u202eb", "a\u061cb", "a\x00b", "a\x1b[31mb"]
)
def test_a_name_cannot_break_the_line(hostile: str) -> None:
    name = clean_name(hostile)
    assert name.isprintable()
    assert name.startswith("a ")


def test_a_name_of_any_length_fits() -> None:
    assert len(clean_name("x" * 1000)) == MAX_NAME


@pytest.mark.parametrize(
    ("actual", "inside"), [("21:25", True), ("22:05", True), ("21:24", False), ("22:06", False)]
)
def test_the_real_time_is_inside_or_outside_of_the_interval(actual: str, inside: bool) -> None:
    assert dataclasses.replace(LINEN, actual_ms=local(actual)).inside_interval is inside
    assert LINEN.inside_interval is None


def test_an_alert_survives_its_topic() -> None:
    digest = dataclasses.replace(LINEN, lines=(DigestLine("A", "a", "at_risk", None, None, 1),))
    assert decode_alert(encode_alert(digest)) == digest
    with pytest.raises(msgspec.DecodeError):
        decode_alert(b'{"alert_id": 1}')


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (410_000, "USD", "$4.1k"),
        (95_000, "GBP", "£950"),
        (1_200_000, "CHF", "CHF 12.0k"),
        (99_996_000, "USD", "$1.0M"),
        (15_000_000, "USD", "$150k"),
        (950, "JPY", "¥950"),
        (0, "USD", "$0"),
        (-410_000, "EUR", "-€4.1k"),
        (2_500_000_000_000, "USD", "$25.0bn"),
    ],
)
def test_money_is_short_in_a_message(minor: int, currency: str, text: str) -> None:
    assert compact_money(minor, currency) == text


def test_minor_units_follow_the_currency() -> None:
    assert (major(1234, "USD"), major(1234, "JPY"), major(1234, "KWD")) == (12.34, 1234, 1.234)
    assert (to_minor(12.34, "USD"), to_minor(1234, "JPY")) == (1234, 1234)
