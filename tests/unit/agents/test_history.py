"""Days that leave the state: written down whole or not at all, read from one place, with the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
import pytest

from agents.archive import DayFolder, check_history, day_folder
from agents.archiver import Archiver
from streams.answers import Answer
from streams.columns import Columns
from streams.cubes import CUBE_BY_NAME, CUBES
from streams.days import DAY_MS, HOUR_MS, BusinessCalendar, day_label
from streams.errors import QueryError
from streams.explain import explain, parse_explain
from streams.fold import PartitionState
from streams.kept_cubes import PIECES
from streams.query import parse_request, run
from streams.records import RecordBatch
from streams.settings import BoardSettings, FoldSettings, Settings, ShopSettings
from streams.state import CubeRow, Flush

T = TypeVar("T")

SHOP: Final = "s/1 .."
BEGIN_MS: Final = 1_761_912_000_000
"""2025-10-31T12:00Z: the clocks of New York go back on the third day."""

HOT_DAYS: Final = 3
DAYS: Final = 8
CALENDAR: Final = BusinessCalendar("America/New_York")
FIRST_DAY: Final = CALENDAR.day_of(BEGIN_MS)
SOURCE: Final = {
    "owner": "seller",
    "format": "live",
    "surface": "live_room",
    "is_paid": False,
    "account_id": "a",
    "content_id": "c1",
    "sub_campaign_id": "flash",
}

TYPES: Final = {
    "impressions": "product_impression",
    "clicks": "product_click",
    "page_views": "product_page_view",
    "add_to_cart": "add_to_cart",
}

QUESTIONS: Final = [
    {"metrics": "product_impressions,unique_page_viewers,product_clicks,product_page_views", "window": "all"},
    {"metrics": "product_impressions,unique_page_viewers", "window": "all", "by": "day"},
    {"metrics": "product_impressions", "window": "all", "by": "hour,slice"},
    {"metrics": "product_impressions,unique_page_viewers", "window": "all", "by": "product,slice"},
    {"metrics": "product_impressions", "window": "all", "by": "content"},
    {"metrics": "atc_rate_pdp", "window": "all", "by": "day,product"},
    {
        "metrics": "product_impressions,unique_page_viewers",
        "window": f"range:{day_label(FIRST_DAY + 1)}..{day_label(FIRST_DAY + 5)}",
    },
]


async def at_once(work: Callable[[], T]) -> T:
    return work()


class Shop:
    """Two partitions that fold a few events a day, and the board that reads them."""

    def __init__(self, folder: Path, *, hot_days: int = HOT_DAYS) -> None:
        self.settings = Settings(
            shops={SHOP: ShopSettings(SHOP, timezone="America/New_York")},
            fold=FoldSettings(hot_days=hot_days),
            board=BoardSettings(data_dir=str(folder)),
        )
        self.states = [
            PartitionState(number, shops=self.settings.shops, settings=self.settings.fold)
            for number in (0, 1)
        ]
        self.now_ms = BEGIN_MS
        self._log: list[Any] = []
        self._sent = 0
        self.start()

    def start(self, folder: DayFolder | None = None) -> None:
        """Start a board anew: it reads what the state still holds, then follows."""
        self.folder = folder or day_folder(self.settings)
        self.columns = Columns(self.settings)
        self.columns.read_history(self.folder)
        for flush in self._log:
            self.columns.apply(flush)
        self.archiver = Archiver(self.columns, self.folder, lambda: self.now_ms, at_once)
        self.archiver.begin()

    def pass_days(self, count: int) -> None:
        for _ in range(count):
            for hour in (0, 5, 12):
                self.sell(self.now_ms + hour * HOUR_MS)
            self.now_ms += DAY_MS

    def sell(self, at_ms: int, products: Sequence[str] = ("p0", "p1", "p2")) -> None:
        for partition, state in enumerate(self.states):
            for topic, event_type in TYPES.items():
                values = [
                    self._event(event_type, at_ms, partition, number, product)
                    for number, product in enumerate(products)
                ]
                first = state.next_offset(topic)
                state.fold(
                    RecordBatch(
                        topic=topic,
                        partition=partition,
                        offsets=range(first, first + len(values)),
                        timestamps_ms=[at_ms] * len(values),
                        values=values,
                        keys=[b"k"] * len(values),
                    )
                )
            flush = state.take_flush()
            assert flush is not None
            self._log.append(flush)
            self.columns.apply(flush)

    def _event(self, event_type: str, at_ms: int, partition: int, number: int, product: str) -> bytes:
        self._sent += 1
        day = CALENDAR.day_of(at_ms)
        event = {
            "event_id": f"e{self._sent}",
            "event_type": event_type,
            "shop_id": SHOP,
            "occurred_at_ms": at_ms,
            "product_id": product,
            # Some people come every day, some once; some are in both partitions.
            "user_key": f"u{number}" if partition else f"u{number}-{day % 3}",
            "source": SOURCE if number else None,
            "sku_id": f"{product}-m" if event_type in ("product_click", "add_to_cart") else None,
        }
        return json.dumps({name: value for name, value in event.items() if value is not None}).encode()

    def ask(self, **question: str) -> Answer:
        return run(self.columns, parse_request(question), now_ms=self.now_ms)

    def answers(self) -> list[dict[str, Any]]:
        return [self.ask(**question).document() for question in QUESTIONS]

    async def archive(self, *, may: bool = True) -> int:
        before = len(self.folder.days(SHOP))
        while await self.archiver.advance(SHOP, may=may):
            pass
        return len(self.folder.days(SHOP)) - before


def images_in_memory(columns: Columns) -> int:
    cubes = columns._cubes.values()
    return sum(
        len(image)
        for cube in cubes
        for part in (*cube._images.values(), *cube._large.values())
        for image in part.values()
    )


def truth(folder: Path) -> list[dict[str, Any]]:
    """Answer from a board that has never forgotten anything."""
    shop = Shop(folder, hot_days=400)
    shop.pass_days(DAYS)
    return shop.answers()


async def test_answers_are_those_of_a_board_that_forgot_nothing_while_memory_falls(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a")
    shop.pass_days(DAYS)
    full = images_in_memory(shop.columns)
    before = shop.answers()
    assert await shop.archive() == DAYS - HOT_DAYS
    assert shop.answers() == before == truth(tmp_path / "b")
    assert images_in_memory(shop.columns) < full * 0.6
    shop.start()
    assert shop.answers() == before


async def test_a_day_is_written_down_once_it_is_closed_and_not_while_a_partition_has_records_to_fold(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(HOT_DAYS)
    assert await shop.archive() == 0
    shop.pass_days(1)
    shop.columns.mark_lagging([(1, "clicks")])
    assert await shop.archive() == 0
    shop.columns.mark_lagging([])
    assert await shop.archive() == 1
    assert shop.folder.days(SHOP) == {FIRST_DAY}


async def test_a_board_that_may_not_write_waits_for_the_file_of_the_one_that_may(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(HOT_DAYS + 1)
    assert await shop.archive(may=False) == 0
    other = Shop(tmp_path)
    other.pass_days(HOT_DAYS + 1)
    assert await other.archive() == 1
    assert await shop.archive(may=False) == 1
    assert shop.answers() == other.answers()


class KilledError(Exception):
    """Ends the process at a step of writing."""


STEPS: Final = ("file written", "file there", "manifest written", "manifest there")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_the_next_board_has_every_day_in_one_whole_place(
    tmp_path: Path, step: str
) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(HOT_DAYS + 1)
    expected = shop.answers()

    def die(reached: str) -> None:
        if reached == step:
            raise KilledError

    dying = DayFolder(shop.folder.root, die)
    shop.start(dying)
    with pytest.raises(KilledError):
        await shop.archive()
    shop.start()
    boundary = shop.columns.day_boundary(SHOP)
    assert boundary is not None
    assert (boundary > FIRST_DAY) is (step == "manifest there")
    assert shop.folder.days(SHOP) == (frozenset({FIRST_DAY}) if step == "manifest there" else frozenset())
    assert shop.answers() == expected
    await shop.archive()
    assert shop.folder.faults == {}
    assert shop.folder.days(SHOP) == {FIRST_DAY}
    assert shop.answers() == expected


async def test_a_torn_file_is_an_error_where_it_is_needed_and_never_a_number(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(DAYS)
    await shop.archive()
    path = next(shop.folder.root.rglob(f"{day_label(FIRST_DAY + 1)}.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    shop.start()
    assert "bytes and must have" in shop.folder.faults[SHOP, FIRST_DAY + 1]
    assert check_history(shop.settings).level == "bad"
    with pytest.raises(QueryError) as error:
        shop.ask(metrics="product_impressions", window="all")
    assert error.value.reason == "history_damaged"
    assert shop.ask(metrics="product_impressions", window="today").rows == [{"product_impressions": 0}]


async def test_a_file_with_a_flipped_bit_is_noticed_before_the_first_number(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(DAYS)
    await shop.archive()
    path = next(shop.folder.root.rglob(f"{day_label(FIRST_DAY)}.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shop.start()
    assert shop.folder.faults == {}
    with pytest.raises(QueryError, match="SHA-256") as error:
        shop.ask(metrics="product_impressions", window="all")
    assert error.value.reason == "history_damaged"


async def test_an_id_that_only_days_of_the_history_name_is_known_where_a_window_reaches_them(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    shop.sell(shop.now_ms, ["spring"])
    shop.pass_days(DAYS)
    reaches, later = (
        f"range:{day_label(first)}..{day_label(FIRST_DAY + DAYS - 1)}" for first in (FIRST_DAY, FIRST_DAY + 1)
    )

    def why(window: str, product: str) -> list[str]:
        answer = shop.ask(metrics="product_clicks", window=window, where=f"product={product},slice=affiliate")
        return list(answer.nulls.get("product_clicks", ()))

    before = [why(window, "spring") for window in ("all", reaches, later)]
    await shop.archive()
    assert shop.columns.day_boundary(SHOP) == FIRST_DAY + DAYS - HOT_DAYS
    assert before == [[], [], []]
    assert [why(window, "spring") for window in ("all", reaches)] == [[], []]
    assert [why(window, "sprung") for window in ("all", reaches)] == [["unknown_id"], ["unknown_id"]]
    # Days that a question does not reach are not read for it.
    assert why(later, "spring") == ["unknown_id"]


async def test_days_that_nobody_wrote_down_are_not_zero(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(DAYS)
    shop.start()  # No board ran meanwhile: the state has forgotten all but the hot days and one.
    kept = shop.columns.day_boundary(SHOP)
    assert kept is not None
    whole = shop.ask(metrics="product_impressions", window="all")
    assert whole.nulls == {"product_impressions": {"no_detail_before": [0]}}
    by_day = shop.ask(
        metrics="product_impressions", window=f"range:{day_label(FIRST_DAY)}..{day_label(kept)}", by="day"
    )
    values = {row["day"]: row["product_impressions"] for row in by_day.rows}
    assert values[day_label(kept)] == 18
    hot = shop.ask(metrics="product_impressions", window=f"range:{day_label(kept)}..{day_label(kept + 1)}")
    assert hot.rows == [{"product_impressions": 36}]


def test_files_of_a_shop_stay_in_the_folder_whatever_its_name(tmp_path: Path) -> None:
    folder = DayFolder(tmp_path / "root")
    for shop_id in ("..", "../../x", ".", "a/b"):
        assert folder._path(shop_id, FIRST_DAY).resolve().is_relative_to(tmp_path / "root")


def written_by_an_earlier_version(shop: Shop, day: int) -> None:
    """Put in place of a day's file the one of before `content_day` had the atom and before there were SKUs."""
    path = next(shop.folder.root.rglob(f"{day_label(day)}.parquet"))
    manifest = json.loads(path.with_suffix(".json").read_bytes())
    later = ("sku_day", "content_sub_campaign_day", "content_sku_day")
    rows = pl.read_parquet(path).filter(~pl.col("cube").is_in(later))
    # The content of these days is shown at one place only, so that no two cells become one.
    of_content = pl.when(pl.col("cube") == "content_day").then(pl.col("dims").list.head(2))
    rows = rows.with_columns(of_content.otherwise(pl.col("dims")).alias("dims"))
    cubes = {name: known for name, known in manifest["cubes"].items() if name not in later}
    cubes["content_day"] = "77546908"
    shop.folder.write(SHOP, day, rows, cubes, manifest["events"])


async def test_days_written_before_a_cube_had_a_dimension_answer_all_that_they_did_and_refuse_the_rest(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(DAYS)
    asked: list[dict[str, str]] = [
        {"metrics": "product_impressions,unique_page_viewers,content_ctr", "by": "content"},
        {"metrics": "product_clicks,unique_clicks_distinct,ctr", "by": "content,product"},
        {"metrics": "content_ctr", "by": "day,content"},
    ]
    expected = [shop.ask(window="all", **question).document() for question in asked]
    await shop.archive()
    last = FIRST_DAY + 1
    for day in (FIRST_DAY, last):
        written_by_an_earlier_version(shop, day)
    shop.start()
    assert [shop.ask(window="all", **question).document() for question in asked] == expected
    known = explain(
        shop.columns,
        parse_explain({"metric": "product_impressions", "window": "all", "row": "content=c1"}),
        now_ms=shop.now_ms,
    )
    (cells,) = [source["rows"] for source in known["sources"]]
    places = {row["place"] for row in cells}
    assert f"content_day/{day_label(last)}/product_impression/c1/p1" in places
    assert f"content_day/{day_label(last + 1)}/product_impression/c1/p1/seller_live" in places
    for question in (
        {"by": "content,slice"},
        {"by": "content", "where": "owner=own"},
        {"by": "content,leaf"},
    ):
        with pytest.raises(QueryError) as error:
            shop.ask(metrics="product_impressions", window="all", **question)
        assert error.value.reason == "no_detail_before"
        assert f"after {day_label(last)}, or without slice, leaf and owner" in error.value.mend
    after = f"range:{day_label(last + 1)}..{day_label(last + 2)}"
    found = shop.ask(metrics="product_impressions", window=after, by="content,leaf")
    # Two days of three hours, two partitions, two of three events from the LIVE.
    values = {row["leaf"]: row["product_impressions"] for row in found.rows}
    assert values["seller_live"] == sum(values.values()) == 2 * 3 * 2 * 2
    # What the shop was shown at is kept of every day in another cube.
    assert shop.ask(metrics="product_impressions", window="all", by="leaf").rows


async def test_days_written_before_a_cube_was_there_are_refused_with_the_days_that_have_it(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(DAYS)
    await shop.archive()
    for day in (FIRST_DAY, FIRST_DAY + 2):
        written_by_an_earlier_version(shop, day)
    shop.start()
    for question in (
        {"by": "sku"},
        {"by": "day,sku"},
        {"where": "sku=x", "by": "product"},
        {"by": "content,sku"},
        {"by": "sub_campaign", "where": "content=c1"},
    ):
        with pytest.raises(QueryError) as error:
            shop.ask(metrics="product_clicks", window="all", **question)
        assert error.value.reason == "no_detail_before"
        assert day_label(FIRST_DAY) in str(error.value)
        assert error.value.mend == f"Ask for days after {day_label(FIRST_DAY + 2)}, or with fewer dimensions."
    later = f"range:{day_label(FIRST_DAY + 3)}..{day_label(FIRST_DAY + 5)}"
    by_sku = shop.ask(metrics="product_clicks", window=later, by="sku").rows
    assert {row["sku"]: row["product_clicks"] for row in by_sku} == dict.fromkeys(
        ("p0-m", "p1-m", "p2-m"), 18
    )
    # The first of the three products comes from nowhere, the others from the LIVE.
    of_live = shop.ask(metrics="product_clicks", window=later, by="sku", where="content=c1").rows
    assert {row["sku"]: row["product_clicks"] for row in of_live} == dict.fromkeys(("p1-m", "p2-m"), 18)
    by_sub_campaign = shop.ask(metrics="product_clicks", window=later, by="content,sub_campaign").rows
    assert by_sub_campaign == [{"content": "c1", "sub_campaign": "flash", "product_clicks": 36}]
    assert shop.ask(metrics="product_clicks", window="all", by="product").rows
    # Whether an id is known is no question that such a day refuses: it names none.
    sku, first_end_ms = ("sku_day", "sku"), CALENDAR.day_start_ms(FIRST_DAY + 1)
    assert shop.columns.history_names(sku, "p0-m", SHOP, None, None)
    assert not shop.columns.history_names(sku, "p0-m", SHOP, None, first_end_ms)


async def test_a_day_waits_for_a_cube_that_is_being_rebuilt_for_as_long_as_the_state_keeps_it(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    shop.pass_days(HOT_DAYS + 1)
    row = CubeRow("content_day", CUBE_BY_NAME["content_day"].definition, {}, shop.now_ms, 0)
    others = [
        CubeRow(cube.name, cube.definition, {}, 0, PIECES) for cube in CUBES if cube.name != "content_day"
    ]
    shop.columns.apply(Flush(0, 900, [], [], [], [], [], cubes=[row, *others]))
    assert await shop.archive() == 0
    rebuilt = row._replace(since_ms=0, handed=PIECES)
    shop.columns.apply(Flush(0, 901, [], [], [], [], [], cubes=[rebuilt]))
    assert await shop.archive() == 1
    shop.columns.apply(Flush(0, 902, [], [], [], [], [], cubes=[row]))
    shop.now_ms += 2 * DAY_MS
    assert await shop.archive() == 1
    with pytest.raises(QueryError) as error:
        shop.ask(metrics="product_impressions", window="all", by="content")
    assert error.value.reason == "no_detail_before"
