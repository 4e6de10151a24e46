"""Bounds of the events about content, ads and ready-made figures, and of sketches that others made."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any

import pytest
from datasketches import hll_sketch, hll_union, tgt_hll_type

from streams import sketches
from streams.decoding import Refusal, decode
from streams.events import EVENT_TYPES, ContentEngagement, Event
from streams.facts import key_of, version_of
from streams.foreign_sketches import rebuilt
from streams.outcomes import Outcome
from tools.asyncapi_examples import AT_MS, examples

EXAMPLES = {name: value for name, value in examples().items() if name in EVENT_TYPES}
HOUR_MS = 3_600_000


def decoded(event_type: str, **change: Any) -> Event | Refusal:
    """Decode the example of a type with some fields changed; None leaves a field out."""
    event = {name: value for name, value in (EXAMPLES[event_type] | change).items() if value is not None}
    return decode(json.dumps(event).encode())


def valid(event_type: str, **change: Any) -> Event:
    event = decoded(event_type, **change)
    assert not isinstance(event, Refusal), event
    return event


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_the_example_of_every_type_is_legal(event_type: str) -> None:
    assert valid(event_type).event_type == event_type


@pytest.mark.parametrize(
    ("event_type", "change", "detail"),
    [
        ("checkout_started", {"lines": []}, "lines"),
        ("checkout_started", {"checkout_id": ""}, "checkout_id has 0 characters"),
        ("checkout_started", {"lines": [{"product_id": "a", "sku_id": "b", "quantity": -1}]}, "quantity"),
        ("checkout_started", {"source": {"owner": "seller"}}, "format"),
        ("content", {"kind": "story"}, "kind"),
        ("content", {"state": "paused"}, "state"),
        ("content", {"kind": "video"}, "kind is video: only a LIVE can be live_started"),
        ("content", {"started_at_ms": None}, "started_at_ms is missing: state is live_started"),
        ("content", {"state": "live_ended"}, "ended_at_ms is missing: state is live_ended"),
        ("content", {"state": "live_ended", "ended_at_ms": AT_MS - 1}, "is before started_at_ms"),
        ("content", {"started_at_ms": AT_MS + 120_001}, "started_at_ms .* is after occurred_at_ms"),
        ("content", {"started_at_ms": 946_684_799_999}, "before the year 2000"),
        ("content", {"account_kind": "affiliate"}, "creator_id is missing"),
        ("content", {"product_ids": None}, "product_ids"),
        ("content", {"product_ids": ["a", "b\x07"]}, r"product_ids\[1\] holds a control character"),
        ("content", {"key_session": None}, "key_session"),
        ("content_engagement", {"views": -1}, "views"),
        ("content_engagement", {"views": 1.5}, "views"),
        ("content_engagement", {"watch_seconds": -0.1}, "watch_seconds"),
        ("content_engagement", {"watch_seconds": "long"}, "watch_seconds"),
        ("content_engagement", {"bucket_start_ms": AT_MS + 120_001}, "bucket_start_ms .* is after"),
        ("content_engagement", {"bucket_start_ms": 1}, "before the year 2000"),
        ("content_engagement", {"viewer_keys": ["u"] * 5_001}, "viewer_keys"),
        ("content_engagement", {"viewer_keys": [""]}, r"viewer_keys\[0\] has 0 characters"),
        ("content_engagement", {"viewer_keys": None, "viewer_sketch": "not base64!"}, "viewer_sketch"),
        (
            "content_engagement",
            {"viewer_keys": None, "viewer_sketch": "AAAA"},
            "viewer_sketch cannot be read",
        ),
        ("violation", {"content_id": None}, "content_id is missing: content_kind is live"),
        ("violation", {"state": "closed"}, "state"),
        ("violation", {"severity": "mild"}, "severity"),
        ("follower", {"followers": -1}, "followers"),
        ("follower", {"account_id": None}, "account_id"),
        ("account", {"creator_id": None}, "creator_id is missing"),
        ("account", {"kind": "friend"}, "kind"),
        ("account", {"commission_terms": [{"version": "1", "rate": 1.1, "from_ms": 0}]}, "rate"),
        ("ad_metric", {"spend_minor": -1}, "spend_minor"),
        ("ad_metric", {"spend_minor": 10.5}, "spend_minor"),
        ("ad_metric", {"bucket_seconds": 0}, "bucket_seconds"),
        ("ad_metric", {"bucket_seconds": 86_401}, "bucket_seconds"),
        ("ad_metric", {"bucket_start_ms": AT_MS + 1_000_000}, "is after occurred_at_ms"),
        ("ad_metric", {"revision": None}, "revision"),
        ("ad_account_selected", {"version": None}, "version"),
        ("traffic_total", {"mode": "total"}, "mode"),
        ("traffic_total", {"impressions": -5}, "impressions"),
        ("traffic_total", {"bucket_seconds": 86_401}, "bucket_seconds"),
        ("history_total", {"date": "2026-02-30"}, "date 2026-02-30 is no date"),
        ("history_total", {"date": "1999-12-31"}, "before the year 2000"),
        ("history_total", {"date": "last week"}, "date"),
        ("history_total", {"date": "lifetime", "hour": 3}, "a lifetime has none"),
        ("history_total", {"hour": 25}, "hour"),
        ("history_total", {"slice": "everything"}, "slice"),
        ("history_total", {"metric": "GMV; drop"}, "metric"),
        ("benchmark", {"benchmark_day": "2026-11-31"}, "benchmark_day 2026-11-31 is no date"),
        ("benchmark", {"group": "peers"}, "group"),
        ("benchmark", {"value": "high"}, "value"),
    ],
)
def test_what_is_out_of_shape_or_bounds_is_refused_with_field_and_reason(
    event_type: str, change: dict[str, Any], detail: str
) -> None:
    refusal = decoded(event_type, **change)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.outcome is Outcome.REJECTED_SCHEMA
    assert re.search(detail, refusal.detail), refusal.detail


@pytest.mark.parametrize(
    ("event_type", "change"),
    [
        ("content", {"kind": "live", "state": "published", "started_at_ms": None}),
        ("content", {"account_kind": "affiliate", "creator_id": 17}),
        ("content_engagement", {"viewer_keys": None}),
        ("content_engagement", {"viewer_keys": [1, "a b"]}),
        ("violation", {"content_kind": "listing", "content_id": None}),
        ("account", {"version": None}),
        ("ad_metric", {"bucket_seconds": 86_400, "spend_minor": 0}),
        ("traffic_total", {"product_id": None, "source": None}),
        ("history_total", {"date": "lifetime"}),
        ("history_total", {"hour": 24}),
    ],
)
def test_what_is_odd_but_legal_is_taken(event_type: str, change: dict[str, Any]) -> None:
    valid(event_type, **change)


@pytest.mark.parametrize(
    ("event_type", "change", "same"),
    [
        ("content", {"title": "other", "occurred_at_ms": AT_MS + 1}, True),
        ("content", {"state": "live_ended", "ended_at_ms": AT_MS}, False),
        ("content_engagement", {"views": 9, "occurred_at_ms": AT_MS + 1}, True),
        ("content_engagement", {"territory": "CA"}, False),
        ("content_engagement", {"territory": None}, False),
        ("content_engagement", {"age_band": "18-24"}, False),
        ("content_engagement", {"gender": "f"}, False),
        ("violation", {"state": "resolved"}, False),
        ("violation", {"severity": "warning"}, True),
        ("follower", {"occurred_at_ms": AT_MS + 1}, False),
        ("account", {"kind": "linked", "version": 9}, True),
        ("ad_metric", {"revision": 7, "spend_minor": 1, "ad_campaign_id": "x"}, True),
        ("ad_metric", {"bucket_start_ms": AT_MS - 2 * HOUR_MS}, False),
        ("ad_account_selected", {"primary_ad_account_id": "other", "version": 8}, True),
        ("checkout_started", {"user_key": "other"}, True),
        ("traffic_total", {"revision": 2, "impressions": 1}, True),
        ("traffic_total", {"product_id": None}, False),
        ("traffic_total", {"source": None}, False),
        ("history_total", {"value": 1}, True),
        ("history_total", {"hour": 3}, False),
        ("benchmark", {"benchmark_day": "2026-11-25", "value": 0.5, "published_at_ms": 1}, True),
        ("benchmark", {"period": "campaign"}, False),
    ],
)
def test_a_record_is_of_the_same_fact_when_its_identity_is(
    event_type: str, change: dict[str, Any], same: bool
) -> None:
    one, other = valid(event_type), valid(event_type, **change)
    assert (key_of(one) == key_of(other)) is same  # type: ignore[arg-type] # facts all


@pytest.mark.parametrize(
    ("event_type", "version"),
    [
        ("content", AT_MS),
        ("content_engagement", 0),
        ("violation", AT_MS),
        ("follower", 0),
        ("account", 3),
        ("ad_metric", 1),
        ("ad_account_selected", 1),
        ("checkout_started", 0),
        ("traffic_total", 1),
        ("history_total", 0),
        ("benchmark", AT_MS - 6 * HOUR_MS),
    ],
)
def test_the_version_decides_as_the_table_of_facts_says(event_type: str, version: int) -> None:
    assert version_of(valid(event_type)) == version  # type: ignore[arg-type] # facts all


# -- sketches of others


def crowd(count: int, kind: tgt_hll_type = tgt_hll_type.HLL_4, lg_k: int = 12) -> hll_sketch:
    sketch = hll_sketch(lg_k, kind)
    for number in range(count):
        sketch.update(f"u{number}")
    return sketch


@pytest.mark.parametrize("kind", [tgt_hll_type.HLL_4, tgt_hll_type.HLL_8])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 100, 384, 385, 5_000, 200_000])
def test_a_sketch_of_others_is_rebuilt_to_the_same_crowd(count: int, kind: tgt_hll_type) -> None:
    sketch = crowd(count, kind)
    union = hll_union(12)
    union.update(sketch)
    union.update(sketch)
    other = sketches.new(12)
    for number in range(count // 2, count // 2 + 60):
        other.update(f"u{number}")
    for image in (bytes(sketch.serialize_compact()), bytes(sketch.serialize_updatable())):
        found = sketches.load(rebuilt(image, 12))
        assert sketches.estimate(found) == pytest.approx(union.get_estimate())
        assert sketches.canonical(sketches.merge([found, other], 12)) == sketches.canonical(
            sketches.merge([sketch, other], 12)
        )


def test_a_sketch_of_another_size_or_type_is_refused_by_name() -> None:
    for sketch, detail in (
        (crowd(9_000, lg_k=11), "lg_k 11, must have 12"),
        (crowd(9_000, tgt_hll_type.HLL_6), "other than HLL_4 and HLL_8"),
    ):
        image = base64.b64encode(bytes(sketch.serialize_compact())).decode()
        refusal = decoded("content_engagement", viewer_keys=None, viewer_sketch=image)
        assert isinstance(refusal, Refusal)
        assert detail in refusal.detail


def test_viewers_are_told_one_way() -> None:
    image = base64.b64encode(bytes(crowd(3).serialize_compact())).decode()
    refusal = decoded("content_engagement", viewer_sketch=image)
    assert isinstance(refusal, Refusal)
    assert "exclude each other" in refusal.detail
    event = valid("content_engagement", viewer_keys=None, viewer_sketch=image)
    assert isinstance(event, ContentEngagement)


def test_no_changed_bytes_of_a_sketch_reach_the_library_or_end_the_process() -> None:
    draw = random.Random(7)
    images = [
        bytes(dump)
        for kind in (tgt_hll_type.HLL_4, tgt_hll_type.HLL_8)
        for count in (0, 3, 40, 400, 60_000)
        for dump in (crowd(count, kind).serialize_compact(), crowd(count, kind).serialize_updatable())
    ]
    taken = 0
    for _ in range(4_000):
        image = bytearray(draw.choice(images))
        for _ in range(draw.randrange(1, 5)):
            if draw.random() < 0.8:
                image[draw.randrange(min(len(image), draw.choice((12, 48, 5_000))))] = draw.randrange(256)
            else:
                image = image[: draw.randrange(len(image) + 1)] or bytearray(b"x")
        try:
            safe = rebuilt(bytes(image), 12)
        except ValueError:
            continue
        taken += 1
        assert sketches.estimate(sketches.merge([sketches.load(safe)], 12)) >= 0
    assert taken > 100
