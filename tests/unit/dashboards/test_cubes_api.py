"""Since when cubes are whole, as the API and `warroom rebuild` say it."""

from __future__ import annotations

from dashboards.cubes_api import document
from streams.columns import Columns
from streams.cubes import PRODUCT_DAY, SHOP_QUARTER
from streams.kept_cubes import EMPTYING, PIECES
from streams.settings import Settings, ShopSettings
from streams.state import CubeRow, Flush, Position

AT_MS = 1_764_072_000_000


def columns(*rows: tuple[int, CubeRow]) -> Columns:
    found = Columns(Settings(shops={"s1": ShopSettings("s1")}))
    for partition, row in rows:
        position = Position("impressions", 5, AT_MS)
        found.apply(Flush(partition, 1, [], [], [position], [], [], cubes=[row]))
    return found


def row(handed: int, since_ms: int, name: str = "product_day") -> CubeRow:
    cube = {"product_day": PRODUCT_DAY, "shop_quarter": SHOP_QUARTER}[name]
    return CubeRow(name, cube.definition, {"impressions": 3}, since_ms, handed)


def test_a_cube_is_whole_when_no_partition_lacks_anything() -> None:
    (entry,) = document(columns((0, row(PIECES, 0)), (1, row(PIECES, 0))))["cubes"]
    assert (entry["since_ms"], entry["rebuilt"], entry["emptying"]) == (None, 1.0, False)


def test_the_partition_that_lacks_most_says_since_when() -> None:
    (entry,) = document(columns((0, row(PIECES, 0)), (1, row(PIECES // 2, AT_MS - 5))))["cubes"]
    assert (entry["since_ms"], entry["rebuilt"]) == (AT_MS - 5, 0.75)


def test_one_that_is_being_emptied_holds_nothing_up_to_now() -> None:
    (entry,) = document(columns((0, row(PIECES, 0)), (1, row(EMPTYING, AT_MS - 5))))["cubes"]
    assert entry["emptying"]
    assert entry["since_ms"] == AT_MS + 120_000


def test_a_partition_of_an_earlier_version_lacks_what_it_does_not_keep() -> None:
    other = (1, row(PIECES, 0, "shop_quarter"))
    entries = {one["cube"]: one for one in document(columns((0, row(PIECES, 0)), other))["cubes"]}
    assert entries["product_day"]["since_ms"] == AT_MS + 120_000


def test_what_is_missing_is_forgotten_once_nothing_so_old_is_kept() -> None:
    old_ms = AT_MS - 46 * 86_400_000
    (entry,) = document(columns((0, row(PIECES, old_ms))))["cubes"]
    assert entry["since_ms"] is None
