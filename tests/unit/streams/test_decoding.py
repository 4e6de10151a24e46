"""What the wire allows, and how a refusal is explained."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from streams.decoding import MAX_NESTING, Refusal, decode
from streams.events import Event, Fact, OrderPaid, ProductImpression
from streams.fast_decoding import decode_fast
from streams.outcomes import Outcome
from tests.core_worlds import BEGIN_MS, SOURCES, impression, order_line, order_paid

AFFILIATE: dict[str, Any] = dict(SOURCES[3] or {})


def refund(**fields: Any) -> dict[str, Any]:
    ids = dict.fromkeys(("refund_id", "order_id", "line_id", "customer_id", "product_id", "sku_id"), "x")
    money = dict.fromkeys(("amount_minor", "shipping_minor", "tax_minor", "requested_at_ms"), 0)
    common = impression(BEGIN_MS, "r", event_type="refund", kind="return", quantity=0)
    return common | ids | money | {"processed_at_ms": BEGIN_MS} | fields


def refused(value: bytes | None) -> Refusal:
    result = decode(value)
    assert isinstance(result, Refusal), result
    return result


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "null"),
        (b"", "empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"event_type":"product_impression","other":"\xff"}', "not UTF-8"),
        (b"[" * 100_000, "expected|nested|object"),
        (b'{"event_type":"shop","other":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"event_type":"shop","other":' + b'{"":' * 40_000, "nested too deeply"),
        (b"12", "object"),
        (b"not json", "malformed"),
        (b'{"event_type":"shop"}{"event_type":"shop"}', "trailing"),
        (b'{"event_id":"a"}', "event_type"),
        (b'{"event_type":5}', r"\$.event_type"),
        (b'{"event_type":null}', r"\$.event_type"),
    ],
)
def test_bytes_that_are_no_event_are_refused_with_their_fault(value: bytes | None, detail: str) -> None:
    refusal = refused(value)
    assert refusal.outcome == Outcome.REJECTED_SCHEMA
    assert re.search(detail, refusal.detail), refusal.detail


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"event_id": None}, "event_id"),
        ({"event_id": ""}, "event_id has 0 characters"),
        ({"product_id": "x" * 129}, "product_id has 129 characters"),
        ({"product_id": "a\u0000b"}, "product_id holds a control character"),
        ({"user_key": "a\u0085b"}, "user_key holds a control character"),
        ({"product_id": 1.5}, "$.product_id"),
        ({"product_id": True}, "$.product_id"),
        ({"occurred_at_ms": 1.5}, "$.occurred_at_ms"),
        ({"occurred_at_ms": "now"}, "$.occurred_at_ms"),
        ({"occurred_at_ms": 2**63}, "occurred_at_ms 9223372036854775808 is further than the year 9999"),
        ({"occurred_at_ms": -(2**63)}, "further than the year 9999"),
        ({"schema_version": 0}, "$.schema_version"),
        ({"currency": "EURO"}, "$.currency"),
        ({"source_system": "moon"}, "$.source_system"),
        ({"source": AFFILIATE | {"owner": "nobody"}}, "$.source.owner"),
        ({"source": {"owner": "none", "format": "other", "surface": "feed"}}, "is_paid"),
        ({"source": AFFILIATE | {"account_id": None}}, "source.account_id is missing"),
        ({"source": AFFILIATE | {"creator_id": None}}, "source.creator_id is missing"),
        ({"source": AFFILIATE | {"content_id": None}}, "source.content_id is missing"),
        ({"source": AFFILIATE | {"ad_id": None}}, "source.ad_id is missing"),
        ({"source": AFFILIATE | {"campaign_id": "x" * 200}}, "source.campaign_id has 200 characters"),
        ({"event_type": "add_to_cart", "quantity": -1}, "$.quantity"),
        ({"event_type": "add_to_cart", "quantity": 10**8}, "$.quantity"),
    ],
)
def test_traffic_out_of_shape_or_bounds_is_refused_with_field_and_bound(
    change: dict[str, Any], named: str
) -> None:
    refusal = refused(json.dumps(impression(BEGIN_MS) | change).encode())
    assert refusal.outcome == Outcome.REJECTED_SCHEMA
    assert named in refusal.detail


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (order_paid(BEGIN_MS, "o") | {"paid_at_ms": BEGIN_MS + 1}, "paid_at_ms"),
        (order_paid(BEGIN_MS, "o") | {"lines": []}, "$.lines"),
        (order_paid(BEGIN_MS, "o") | {"lines": [order_line(1) | {"goods_paid_minor": -1}]}, "$.lines[0]"),
        (
            order_paid(BEGIN_MS, "o") | {"lines": [order_line(1), order_line(2) | {"sku_id": ""}]},
            "lines[1].sku_id",
        ),
        (
            order_paid(BEGIN_MS, "o")
            | {"lines": [order_line(1) | {"source": AFFILIATE | {"creator_id": None}}]},
            "lines[0].source.creator_id is missing",
        ),
        (order_paid(BEGIN_MS, "o") | {"coupon_codes": ["a", "b\n"]}, "coupon_codes[1]"),
        (refund(processed_at_ms=BEGIN_MS - 1), "processed_at_ms"),
        (refund(quantity=-1), "$.quantity"),
    ],
)
def test_facts_out_of_shape_or_bounds_are_refused_with_field_and_bound(
    event: dict[str, Any], named: str
) -> None:
    refusal = refused(json.dumps(event).encode())
    assert refusal.outcome == Outcome.REJECTED_SCHEMA
    assert named in refusal.detail


@pytest.mark.parametrize(
    ("event", "optional"),
    [
        (
            impression(BEGIN_MS, event_type="add_to_cart"),
            ("quantity", "schema_version", "source_system", "source"),
        ),
        (order_paid(BEGIN_MS, "o"), ("channel", "coupon_codes", "ship_to_key", "currency")),
        (
            impression(BEGIN_MS, event_type="stock_changed", sku_id="x", available=3),
            ("warehouse_id", "reason", "version"),
        ),
    ],
)
def test_an_optional_field_that_is_null_is_absent(event: dict[str, Any], optional: tuple[str, ...]) -> None:
    absent = {name: value for name, value in event.items() if name not in optional}
    assert not isinstance(decode(json.dumps(absent).encode()), Refusal)
    null = absent | dict.fromkeys(optional) | {"unknown": [None, {"n": None}, 10**30]}
    for names in ((), *((name,) for name in optional)):
        given = absent | {name: null[name] for name in names or null}
        assert decode(json.dumps(given).encode()) == decode(json.dumps(absent).encode())


@pytest.mark.parametrize("required", ["event_id", "product_id", "occurred_at_ms", "shop_id"])
def test_a_required_field_that_is_null_is_refused_by_its_name(required: str) -> None:
    value = json.dumps(impression(BEGIN_MS, event_type="add_to_cart", quantity=None) | {required: None})
    assert refused(value.encode()).outcome == Outcome.REJECTED_SCHEMA
    lines = [order_line(1) | {"quantity": None}]
    assert (
        "lines[0].quantity"
        in refused(json.dumps(order_paid(BEGIN_MS, "o") | {"lines": lines}).encode()).detail
    )


def test_an_unknown_type_is_told_apart_from_a_bad_shape_and_is_shown_escaped() -> None:
    refusal = refused(json.dumps({"event_type": "<b>\u202eevil</b>" + "x" * 1_000}).encode())
    assert refusal.outcome == Outcome.REJECTED_TYPE
    assert "\\u202e" in refusal.detail
    assert len(refusal.detail) < 200


def test_not_a_number_is_no_json() -> None:
    value = json.dumps(impression(BEGIN_MS) | {"occurred_at_ms": float("nan")}).encode()
    assert refused(value).outcome == Outcome.REJECTED_SCHEMA


def nested(levels: int, opening: str = '{"":', closing: str = "}") -> bytes:
    """Return an impression that has so many levels, its own object among them, in an unknown field."""
    inner = levels - 1
    other = f',"other":{opening * inner}1{closing * inner}}}'
    return (json.dumps(impression(BEGIN_MS))[:-1] + other).encode()


def decoded_deeper(value: bytes, frames: int) -> Event | Refusal:
    return decode(value) if not frames else decoded_deeper(value, frames - 1)


@pytest.mark.parametrize("brackets", [('{"":', "}"), ("[", "]"), ('[{"a":"]",  "":', "}]")])
def test_how_deep_a_record_may_nest_depends_on_the_record_alone(brackets: tuple[str, str]) -> None:
    per_piece = len(brackets[1])
    most = (MAX_NESTING - 1) // per_piece + 1
    for frames in (0, 400):
        assert isinstance(decoded_deeper(nested(most, *brackets), frames), ProductImpression)
        refusal = decoded_deeper(nested(most + 1, *brackets), frames)
        assert isinstance(refusal, Refusal)
        assert refusal.detail == "nested too deeply: more than 200 levels"


def test_many_objects_beside_each_other_and_brackets_in_text_are_not_deep() -> None:
    order = order_paid(BEGIN_MS, "o") | {"lines": [order_line(number) for number in range(MAX_NESTING + 1)]}
    assert isinstance(decode(json.dumps(order).encode()), OrderPaid)
    text = impression(BEGIN_MS, territory='{"\\[' * 30, other='\\"{' * MAX_NESTING)
    assert isinstance(decode(json.dumps(text).encode()), ProductImpression)


@pytest.mark.parametrize("filling", [b'\\"', b'"', b"\\", b"a", b'[{"'])
def test_hostile_text_costs_no_more_than_its_length(filling: bytes) -> None:
    # A pattern that tries again from every quote would take hours, and the test would be ended.
    value = b'{"event_type":"shop","other":' + b"[" * 300 + b'"'
    assert refused(value + filling * (900_000 // len(filling))).outcome == Outcome.REJECTED_SCHEMA


def test_the_columnar_way_takes_no_record_that_is_nested_too_deeply() -> None:
    assert decode_fast([nested(MAX_NESTING)] * 2) is not None
    assert decode_fast([nested(MAX_NESTING), nested(MAX_NESTING + 1)]) is None


def test_ids_with_spaces_and_other_letters_and_integers_are_legal() -> None:
    value = json.dumps(
        impression(BEGIN_MS, "é 日本") | {"product_id": 85123, "user_key": -7, "other": [1]}
    ).encode()
    event = decode(value)
    assert isinstance(event, ProductImpression)
    assert (event.event_id, event.product_id, event.user_key) == ("é 日本", "85123", "-7")


def test_of_duplicate_keys_the_last_one_wins() -> None:
    value = json.dumps(impression(BEGIN_MS)).encode()[:-1] + b',"product_id":"last"}'
    event = decode(value)
    assert isinstance(event, ProductImpression)
    assert event.product_id == "last"


def test_ids_of_lines_and_their_sources_become_text() -> None:
    line = order_line(1) | {"sku_id": 12, "source": AFFILIATE | {"creator_id": 99}}
    event = decode(
        json.dumps(order_paid(BEGIN_MS, "o") | {"lines": [line], "coupon_codes": [1, "b"]}).encode()
    )
    assert isinstance(event, OrderPaid)
    assert event.lines[0].sku_id == "12"
    assert event.lines[0].source is not None
    assert event.lines[0].source.creator_id == "99"
    assert event.coupon_codes == ["1", "b"]


def test_topics_of_a_heartbeat_may_be_unknown() -> None:
    event = impression(BEGIN_MS, "h", event_type="heartbeat", source="till", topics=["x"], sent_until_ms=1)
    assert isinstance(decode(json.dumps(event).encode()), Fact)
