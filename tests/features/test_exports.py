"""Every view goes into a file of every form, with the rows and columns that it has on the screen."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from streams.errors import QueryError
from streams.export import write_export
from streams.export_tabs import TAB, TABS
from streams.export_views import answer_export, read_export
from streams.view import Parameter
from streams.views import VIEWS
from tests.features.history import SHOP
from tests.features.world import DAY, END_MS

if TYPE_CHECKING:
    from tests.features.world import World


def words_of(view: str) -> dict[str, str]:
    needed: tuple[Parameter, ...] = VIEWS[view].parameters
    window = VIEWS[view].window if VIEWS[view].limits.whole_weeks else f"day:{DAY}"
    return {
        "view": view,
        "shop": SHOP,
        "window": window,
        **{each.name: "linen-wrap-dress" for each in needed if each.required},
    }


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_goes_into_every_form_of_file(world: World, view: str) -> None:
    made = {}
    for form in ("csv", "parquet", "json"):
        tables, _ = answer_export(
            world.columns, read_export({**words_of(view), "format": form}, {}), now_ms=END_MS
        )
        file = io.BytesIO()
        write_export(tables, read_export({**words_of(view), "format": form}, {}).form, file)
        made[form] = file.getvalue()
    flat = pl.read_csv(io.BytesIO(made["csv"]), infer_schema=False)
    typed = pl.read_parquet(io.BytesIO(made["parquet"]))
    assert flat.columns == typed.columns
    assert flat.height == typed.height
    assert made["json"]


WITHOUT_FORMATS = {"ads", "goal"}
"""Views of which no part is by format."""

BY_FORMAT_ALONE = {"product_formats", "traffic_sources"}
"""Views whose rows are the formats."""

NOTHING_RECORDED = {"variants", "weeks"}
"""Views that have no row in this world."""


def document_of(world: World, words: dict[str, str]) -> dict[str, Any]:
    export = read_export({**words, "format": "json"}, {})
    file = io.BytesIO()
    tables, _ = answer_export(world.columns, export, now_ms=END_MS)
    write_export(tables, export.form, file)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


@pytest.mark.parametrize("view", sorted(VIEWS.keys() - WITHOUT_FORMATS - BY_FORMAT_ALONE - NOTHING_RECORDED))
def test_a_view_of_all_formats_has_all_it_says_under_all_and_a_reason_for_what_a_tab_lacks(
    world: World, view: str
) -> None:
    words = words_of(view)
    if any(each.name == "grain" for each in VIEWS[view].parameters):
        words["grain"] = "day"
    found = document_of(world, words | {"all_formats": "1"})
    columns = [each["name"] for each in found["columns"]]
    assert columns[0] == TAB
    assert {row[TAB] for row in found["rows"]} <= set(TABS.values())
    assert len({row[TAB] for row in found["rows"]}) > 2
    alone = document_of(world, words)
    assert set(columns) - {TAB} <= {each["name"] for each in alone["columns"]}
    of_all = [{k: v for k, v in row.items() if k != TAB} for row in found["rows"] if row[TAB] == "All"]
    parts = {row.get("part") for row in of_all}
    by_part = [row for row in alone["rows"] if row.get("part") in parts]
    assert of_all == [{name: row.get(name) for name in columns if name != TAB} for row in by_part]
    # What no format can say is named in every row of the tabs.
    for metric, reasons in found["nulls"].items():
        for number in reasons.get("not_by_format", []):
            row = found["rows"][number]
            assert (row[TAB] != "All", row[metric]) == (True, None)


@pytest.mark.parametrize("view", sorted(WITHOUT_FORMATS | BY_FORMAT_ALONE))
def test_a_view_without_formats_is_no_file_of_all_formats(world: World, view: str) -> None:
    said = "is by format itself" if view in BY_FORMAT_ALONE else "is not by format"
    with pytest.raises(QueryError, match=said):
        document_of(world, words_of(view) | {"all_formats": "1"})


@pytest.mark.parametrize("view", ["live_ranking", "video_ranking"])
def test_the_rankings_of_all_formats_tell_own_contents_from_those_of_creators(
    world: World, view: str
) -> None:
    rows = document_of(world, words_of(view) | {"all_formats": "1", "part": "ranking"})["rows"]
    kind = "LIVE" if view == "live_ranking" else "video"
    own, affiliate = f"Seller {kind}", f"Affiliate-{kind}"
    gmv = {tab: {row["content"]: row["gmv"] for row in rows if row[TAB] == tab} for tab in TABS.values()}
    sold = {tab: {name for name, amount in found.items() if amount} for tab, found in gmv.items()}
    assert sold[own]
    assert sold[affiliate]
    assert not sold[own] & sold[affiliate]
    assert sold[own] | sold[affiliate] == sold["All"]
    assert all(gmv["All"][name] == gmv[tab][name] for tab in (own, affiliate) for name in sold[tab])


def test_a_trend_whose_hours_are_not_kept_by_format_is_by_day_under_every_tab(world: World) -> None:
    words = words_of("product_details")
    assert {row.get("hour") for row in document_of(world, words)["rows"]} - {None}
    rows = document_of(world, words | {"all_formats": "1"})["rows"]
    days = {tab: {row["day"] for row in rows if row[TAB] == tab and row["day"]} for tab in TABS.values()}
    assert set().union(*days.values()) == {DAY}
    assert days["All"] == days["Seller LIVE"] == {DAY}
    assert "hour" not in rows[0]
