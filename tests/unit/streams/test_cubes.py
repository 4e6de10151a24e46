"""The cubes are data, and their definitions are stable."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from streams import events
from streams.cubes import CUBE_BY_NAME, CUBES, EARLIER_DIMS, FORMER, PRODUCT_DAY, Grain

TRAFFIC_RECORDS: Final = {
    "product_impression": events.ProductImpression,
    "product_click": events.ProductClick,
    "product_page_view": events.ProductPageView,
    "add_to_cart": events.AddToCart,
}

DEFINITIONS = {
    "shop_quarter": "54b09b8a",
    "shop_minute": "07abdd22",
    "product_day": "5783462c",
    "product_quarter": "184f92da",
    "content_day": "c911e9f2",
    "creator_day": "caa0ea38",
    "sub_campaign_day": "0b75fc61",
    "territory_day": "c0e1ef5b",
    "sku_day": "f02c8556",
    "content_sub_campaign_day": "ae75c8ef",
    "content_sku_day": "667e93ef",
    "product_theta": "3f3fe2a5",
}
"""Golden: what changes or leaves goes into `cubes.FORMER` as it was, or the state of running workers is refused."""

RELEASED: Final = frozenset(
    {
        ("shop_quarter", "54b09b8a"),
        ("shop_minute", "07abdd22"),
        ("product_day", "5783462c"),
        ("product_quarter", "184f92da"),
        ("content_day", "77546908"),
        ("creator_day", "caa0ea38"),
        ("sub_campaign_day", "0b75fc61"),
        ("territory_day", "c0e1ef5b"),
        ("product_theta", "3f3fe2a5"),
        ("sku_day", "f02c8556"),
        ("content_day", "c911e9f2"),
        ("content_sub_campaign_day", "ae75c8ef"),
        ("content_sku_day", "667e93ef"),
    }
)
"""Every definition that some version has written; only ever longer."""


def test_a_definition_that_was_ever_written_is_ours_or_declared_former() -> None:
    assert set(DEFINITIONS.items()) <= RELEASED
    assert set(DEFINITIONS.items()) | FORMER >= RELEASED
    assert not FORMER & set(DEFINITIONS.items())


def test_definitions_are_the_ones_that_stored_state_carries() -> None:
    assert {cube.name: cube.definition for cube in CUBES} == DEFINITIONS


def test_files_of_old_days_are_read_by_what_their_definition_says() -> None:
    for (name, definition), dims in EARLIER_DIMS.items():
        assert (name, definition) in FORMER
        assert dataclasses.replace(CUBE_BY_NAME[name], dims=dims).definition == definition


def test_every_part_of_a_rows_meaning_changes_its_definition() -> None:
    others = [
        dataclasses.replace(PRODUCT_DAY, name="other"),
        dataclasses.replace(PRODUCT_DAY, dims=("product",)),
        dataclasses.replace(PRODUCT_DAY, grain=Grain.QUARTER),
        dataclasses.replace(PRODUCT_DAY, lg_k=14),
        dataclasses.replace(PRODUCT_DAY, lg_k=None),
        dataclasses.replace(PRODUCT_DAY, event_types=("product_click",)),
        dataclasses.replace(PRODUCT_DAY, sketch="theta"),
    ]
    definitions = {cube.definition for cube in (PRODUCT_DAY, *others)}
    assert len(definitions) == len(others) + 1
    assert all(re.fullmatch("[0-9a-f]{8}", definition) for definition in definitions)


def test_retention_is_not_part_of_a_rows_meaning() -> None:
    assert dataclasses.replace(PRODUCT_DAY, keep="minute_hours").definition == PRODUCT_DAY.definition


def test_minutes_and_forty_eight_hour_cubes_keep_no_sketches() -> None:
    for cube in CUBES:
        if cube.keep == "minute_hours" or cube.grain is Grain.MINUTE:
            assert cube.lg_k is None, cube.name


def test_a_cube_counts_by_what_the_records_of_its_types_have() -> None:
    """The fast decoder takes from the cubes which types have a SKU or a territory; their records say so."""
    with_sku, with_territory = (
        {kind for kind, record in TRAFFIC_RECORDS.items() if field in record.__struct_fields__}
        for field in ("sku_id", "territory")
    )
    assert with_sku == set(CUBE_BY_NAME["sku_day"].event_types)
    assert with_sku >= set(CUBE_BY_NAME["content_sku_day"].event_types)
    assert with_territory == set(CUBE_BY_NAME["territory_day"].event_types)
