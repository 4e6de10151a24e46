"""The fast decoder takes nothing that the authority refuses, and reads what it takes alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from streams.decoding import Refusal, decode
from streams.events import EVENT_TYPES, TRAFFIC_TYPES, Source, Traffic
from streams.fast_decoding import _Row, _Source, decode_fast
from streams.traffic import columns_of
from tests.core_worlds import BEGIN_MS, SOURCES, impression

SOURCE: dict[str, Any] = {
    "owner": "affiliate",
    "format": "live",
    "surface": "shop_tab",
    "is_paid": True,
    "account_id": "a",
    "creator_id": "k",
    "content_id": "c",
    "ad_id": "d",
    "sub_campaign_id": "s",
    "campaign_id": "m",
}
FULL: dict[str, Any] = impression(
    BEGIN_MS,
    territory="NY",
    sku_id="p1-red",
    quantity=2,
    currency="USD",
    source_system="ads",
    schema_version=1,
    ingested_at_ms=BEGIN_MS,
    source=SOURCE,
)
FRAGMENTS = (
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "1.5", "1e3", "01", "1000000001", "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "253402300800000", "NaN", "Infinity", "[]", "[1]", '["a"]', "{}",
    '{"a":1}', '{"a":"b"}', '""', '"5"', '"a"', '"live"', '"USD"', '"add_to_cart"', '"order_paid"', '"a b"', '"é"',
    '"a\\u0041"', '"\\ud800"', '"a\\nb"', '"a\x7fb"', '"a:null"', '"[x]"', '"{"', '"' + "x" * 128 + '"',
    '"' + "x" * 129 + '"',
)  # fmt: skip
SEPARATORS = ((",", ":"), (", ", ": "), (",", ":"), (", ", ": "), (" ,", " : "), (",\t", ":"), (",\n", ":"))


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a record: a good one, or one that was tampered with in fields, keys, spaces or bytes."""
    names = draw(st.sets(st.sampled_from([name for name in FULL if name != "source"])))
    required = {"event_id", "event_type", "shop_id", "occurred_at_ms", "product_id"}
    keep = required | names if draw(st.integers(0, 9)) else names
    pairs = [(name, json.dumps(value)) for name, value in FULL.items() if name in keep]
    source = draw(st.sampled_from([None, SOURCE, *SOURCES[1:]]))
    if source is not None:
        inner = [(name, json.dumps(value)) for name, value in source.items()]
        pairs.append(("source", _object(_tampered(draw, inner), draw(st.sampled_from(SEPARATORS[:2])))))
    text = _object(_tampered(draw, pairs), draw(st.sampled_from(SEPARATORS)))
    value = draw(st.sampled_from(("", "", "", "", "", " ", "\n"))).encode() + text.encode(
        "utf-8", "surrogatepass"
    )
    if not draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(value) - 1))
        put = draw(st.sampled_from((b"", b"\xff", b'"', b"}", b"{", b"\n", b",", b"\x00", b"},{", b"}\n{")))
        value = value[:place] + put + value[place + draw(st.integers(0, 1)) :]
    return value


def _tampered(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = list(pairs)
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1, 2)))):
        if not pairs:
            break
        place = draw(st.integers(0, len(pairs) - 1))
        name, value = pairs[place]
        match draw(st.sampled_from(("value", "value", "twice", "unknown", "gone", "numbers"))):
            case "value":
                pairs[place] = (name, draw(st.sampled_from(FRAGMENTS)))
            case "twice":
                pairs.append((name, draw(st.sampled_from((value, *FRAGMENTS)))))
            case "unknown":
                pairs.append(("other", draw(st.sampled_from(FRAGMENTS))))
            case "gone":
                del pairs[place]
            case _:
                pairs.append(("occurred_at_ms", "12"))
                pairs.append(("quantity", "null"))
    return pairs


def _object(pairs: list[tuple[str, str]], separators: tuple[str, str]) -> str:
    between, after = separators
    return "{" + between.join(f'"{name}"{after}{value}' for name, value in pairs) + "}"


@settings(max_examples=400)
@given(batch=st.lists(values(), min_size=1, max_size=3))
@example(batch=[b'{"event_id":"a"', b'"event_type":"product_impression"}'])
@example(batch=[json.dumps(FULL).encode() + b"," + json.dumps(FULL).encode()])
@example(batch=[json.dumps(FULL).encode() + b"\n" + json.dumps(FULL).encode(), b""])
@example(batch=[b'\n{"source":null}'])
@example(batch=[b"\xef\xbb\xbf" + json.dumps(FULL).encode()])
def test_what_the_fast_decoder_takes_the_authority_reads_alike(batch: list[bytes]) -> None:
    columns = decode_fast(batch)
    if columns is None:
        return
    events = [decode(value) for value in batch]
    assert not [event for event in events if isinstance(event, Refusal)]
    traffic = [event for event in events if isinstance(event, Traffic)]
    assert columns.records() == columns_of(range(len(batch)), traffic).records()


@pytest.mark.parametrize("separators", SEPARATORS[:2])
@pytest.mark.parametrize("source", [*SOURCES, SOURCE])
def test_ordinary_records_take_the_fast_way(
    separators: tuple[str, str], source: dict[str, Any] | None
) -> None:
    event = FULL | {"source": source, "product_id": "Tee, red & [not] blue".replace("[not] ", "")}
    if source is None:
        del event["source"]
    without = {
        name: value for name, value in event.items() if name not in {"territory", "user_key", "currency"}
    }
    explicit = without | {"territory": None, "user_key": None, "currency": None}
    batch = [json.dumps(record, separators=separators).encode() for record in (event, without, explicit)]
    columns = decode_fast(batch)
    assert columns is not None
    assert columns.products == [event["product_id"]] * 3
    assert columns.users == ["u1", None, None]


@pytest.mark.parametrize(
    "change",
    [
        {"product_id": 5},
        {"event_id": True},
        {"occurred_at_ms": 1.5e12},
        {"quantity": 0},
        {"schema_version": None},
        {"other": [1]},
        {"event_type": "order_paid"},
        {"source": SOURCE | {"creator_id": None}},
        {"source": SOURCE | {"format": "film"}},
        {"product_id": "x" * 129},
        {"product_id": ""},
        {"product_id": ["a"]},
        {"user_key": {"a": "b"}},
    ],
)
def test_a_doubtful_record_sends_its_batch_to_the_authority(change: dict[str, Any]) -> None:
    good = json.dumps(FULL).encode()
    assert decode_fast([good, good]) is not None
    assert decode_fast([good, json.dumps(FULL | change).encode(), good]) is None


def test_a_key_that_stands_twice_counts_as_its_last_and_an_unknown_one_not_at_all() -> None:
    good = json.dumps(FULL)
    repeated = f'{good[:-1]}, "product_id": "p2", "territory": null, "other": {{"a": 1}}}}'
    columns = decode_fast([good.encode(), repeated.encode()])
    assert columns is not None
    assert columns.products == [FULL["product_id"], "p2"]
    assert columns.territories == ["NY", None]


def test_an_attribution_block_with_a_new_field_cannot_be_forgotten() -> None:
    ours = {field.name for field in structs.fields(_Source)}
    assert ours == {field.name for field in structs.fields(Source)}
    wire = {field.name for kind in TRAFFIC_TYPES.values() for field in structs.fields(kind)}
    assert {field.name for field in structs.fields(_Row)} == wire


def test_every_traffic_type_is_known_to_both() -> None:
    for name in ("product_impression", "product_click", "product_page_view", "add_to_cart"):
        assert name in EVENT_TYPES
        columns = decode_fast([json.dumps(FULL | {"event_type": name}).encode()])
        assert columns is not None
        assert columns.territories == (["NY"] if name == "product_impression" else [None])
        assert columns.skus == (["p1-red"] if name in {"product_click", "add_to_cart"} else [None])
