"""A LIVE or video whose creator no record names keeps its row: nothing is lost, and nothing is guessed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.columns import Columns
from streams.errors import QueryError
from streams.events import Source
from streams.explain import explain, parse_explain
from streams.export import FileForm, Table, chunks
from tests.unit.streams.asking import answer, rows, value
from tests.unit.streams.boards import at, board, line, order, traffic
from tests.unit.streams.events import content, engagement

NOON = at("2024-11-29 12:00")
NOW = NOON + 3_600_000
MIA = Source("affiliate", "video", "feed", False, creator_id="mia", content_id="mias", account_id="m")
ZOE = Source("affiliate", "live", "live_room", False, creator_id="zoe", content_id="zoes", account_id="z")
OWN = Source("seller", "live", "live_room", False, content_id="own", account_id="s")


def clicks(source: Source, number: int, product: str = "A") -> list[Any]:
    people = (f"{source.content_id}-{each}" for each in range(number))
    return [traffic("product_click", NOON, user, product, source) for user in people]


def shop(*more: Any) -> Columns:
    """Ten clicks of Mia's video and five of our LIVE, which have records; seven of Zoe's LIVE, which has none."""
    return board(
        [
            content("mias", "published", NOON, "A", creator="mia"),
            content("own", "live_started", NOON, "A", account_kind="marketing"),
            *clicks(MIA, 10),
            *clicks(OWN, 5),
            *clicks(ZOE, 7),
            *more,
        ],
        vouch_ms=NOW,
    )


def sold(source: Source, order_id: str = "o") -> Any:
    return order(order_id, NOON, [line("1", "A", 5_000, source=source)])


def test_one_missing_record_leaves_its_content_a_row_without_a_name_and_the_others_their_names() -> None:
    found = answer(shop(), "product_clicks,unique_clicks", "content,creator", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [("mias", "mia", 10, 10), ("zoes", None, 7, 7)]
    assert found.nulls == {"creator": {"no_card": [1]}}
    assert "creator: no_card in 1 rows (no record says it)" in found.table()


def test_the_rows_add_up_to_all_but_what_is_of_no_creator() -> None:
    columns = shop()
    of_rows = sum(row[-1] for row in rows(columns, "product_clicks", "content,creator", now_ms=NOW))
    own = value(columns, "product_clicks", now_ms=NOW, where="content=own")
    assert of_rows + own == value(columns, "product_clicks", now_ms=NOW) == 22


def test_the_record_that_comes_gives_the_name() -> None:
    columns = shop(content("zoes", "live_started", NOON, "A", creator="zoe"))
    found = answer(columns, "product_clicks", "creator,content", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [("mia", "mias", 10), ("zoe", "zoes", 7)]
    assert found.nulls == {}


def test_beside_order_lines_that_name_the_creator_no_figure_is_a_false_zero() -> None:
    columns = shop(sold(ZOE, "o1"), sold(MIA, "o2"))
    found = answer(columns, "gmv,product_clicks,ctor", "content,creator", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [
        ("mias", "mia", 50, 10, 1 / 10),
        ("zoes", None, None, 7, None),
        ("zoes", "zoe", 50, None, None),
    ]
    assert found.nulls == {
        "creator": {"no_card": [1]},
        "gmv": {"no_card": [1]},
        "product_clicks": {"no_card": [2]},
        "ctor": {"no_card": [1, 2]},
    }


def test_views_beside_the_clicks_of_nobody_are_no_false_zero() -> None:
    columns = shop(engagement("zoes", NOON, 70), engagement("mias", NOON, 40), sold(ZOE))
    found = answer(columns, "product_clicks,content_views,content_ctr", "content,creator", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [
        ("mias", "mia", 10, 40, 10 / 40),
        ("zoes", None, 7, None, None),
    ]
    of_both = answer(columns, "gmv,content_views", "creator,content", now_ms=NOW)
    assert ("zoe", "zoes", 50, None) in [tuple(row.values()) for row in of_both.rows]


def test_an_affiliates_content_whose_record_names_no_creator_is_like_one_without_a_record() -> None:
    nameless = msgspec.structs.replace(content("zoes", "live_started", NOON, "A"), creator_id=None)
    found = answer(shop(nameless), "product_clicks", "content,creator", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [("mias", "mia", 10), ("zoes", None, 7)]


def test_a_creator_keeps_her_contents_where_what_is_of_nobody_cannot_be_hers() -> None:
    assert rows(shop(*clicks(ZOE, 2, "B")), "product_clicks", "content", now_ms=NOW, where="creator=mia") == [
        ("mias", 10)
    ]


def test_a_creator_who_may_have_posted_what_no_record_names_is_refused_with_the_content() -> None:
    with pytest.raises(QueryError) as error:
        answer(shop(), "product_clicks", "content", now_ms=NOW, where="creator=zoe")
    assert error.value.reason == "no_cube"
    assert "zoes" in str(error.value)
    assert "zoe posted it" in str(error.value)
    assert "topic content" in error.value.mend
    assert "by=content" in error.value.mend


def test_of_one_content_and_a_creator_whom_no_record_of_it_names_nothing_is_said() -> None:
    found = answer(shop(), "product_clicks", now_ms=NOW, where="content=zoes,creator=zoe")
    assert found.rows == [{"product_clicks": None}]
    assert found.nulls == {"product_clicks": {"no_card": [0]}}


def test_the_cell_of_nobody_is_explained_by_an_empty_name() -> None:
    cell = {"metric": "product_clicks", "window": "all"}
    told = explain(shop(), parse_explain({**cell, "row": "content=zoes,creator="}), now_ms=NOW)
    assert (told["value"], told["sources"][0]["rows"][0]["content"]) == (7, "zoes")
    with pytest.raises(QueryError) as error:
        explain(shop(), parse_explain({**cell, "row": "content=zoes,creator=zoe"}), now_ms=NOW)
    assert error.value.mend == "Rows of creator are mia, empty (no record names it)."


def test_a_window_of_one_live_and_a_filter_on_another_content_is_refused() -> None:
    with pytest.raises(QueryError) as error:
        answer(shop(), "gmv", now_ms=NOW, window="stream:own", where="content=mias")
    assert error.value.reason == "bad_where"
    assert "content=mias and content=own" in str(error.value)


def test_a_file_has_an_empty_cell_for_the_name_and_json_says_why() -> None:
    found = answer(shop(), "product_clicks", "content,creator", now_ms=NOW)
    text = b"".join(chunks([Table(found)], FileForm("csv"))).decode()
    assert text.splitlines() == ["content,creator,product_clicks", "mias,mia,10", "zoes,,7"]
    document = b"".join(chunks([Table(found)], FileForm("json"))).decode()
    assert '"nulls":{"creator":{"no_card":[1]}}' in document
