"""`atc_rate_pdp` and `demand_flag`: who of a page's viewers adds, when nothing can be said, and who is on top."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.columns import Columns
from streams.cubes import PRODUCT_THETA
from streams.days import DAY_MS, HOUR_MS
from streams.demand import flagged_products
from streams.errors import QueryError
from streams.events import Event
from streams.query import parse_request, run
from streams.settings import StockSettings
from tests.unit.streams.boards import SHOP, at, board, flush_of, line, order, stock, traffic
from tests.unit.streams.boards import settings as board_settings

NOON = at("2024-11-29 12:00")
NOW = NOON + HOUR_MS
FRIDAY = "day:2024-11-29"

PEOPLE = ("u1", "u2", "u3", "u4", None)


def views(product: str, *users: str | None, at_ms: int = NOON) -> list[Event]:
    return [traffic("product_page_view", at_ms + n, user, product) for n, user in enumerate(users)]


def adds(product: str, *users: str | None, at_ms: int = NOON) -> list[Event]:
    return [traffic("add_to_cart", at_ms + n, user, product) for n, user in enumerate(users)]


def crowd(number: int, first: int = 0) -> list[str]:
    return [f"u{first + n}" for n in range(number)]


def ask(columns: Columns, metrics: str = "atc_rate_pdp", now_ms: int = NOW, **params: Any) -> dict[str, Any]:
    question = parse_request({"metrics": metrics, "window": "today", "by": "product"} | params)
    return run(columns, question, now_ms=now_ms).document()


def rates(columns: Columns, **params: Any) -> dict[str, float | None]:
    return {row["product"]: row["atc_rate_pdp"] for row in ask(columns, **params)["rows"]}


def why_null(columns: Columns, **params: Any) -> dict[str, str]:
    answer = ask(columns, **params)
    reasons = answer["nulls"].get("atc_rate_pdp", {})
    return {answer["rows"][row]["product"]: reason for reason, rows in reasons.items() for row in rows}


def refusal(columns: Columns, metrics: str = "atc_rate_pdp", **params: Any) -> str:
    with pytest.raises(QueryError) as caught:
        ask(columns, metrics, **params)
    return caught.value.reason


def test_people_who_viewed_and_added_are_held_against_people_who_viewed() -> None:
    """u1 views twice and adds twice, u5 adds from a LIVE without viewing: one of four viewers added."""
    columns = board([*views("A", "u1", "u2", "u1", "u3", "u4"), *adds("A", "u5", "u1", "u1")])
    assert rates(columns) == {"A": 0.25}


def test_a_press_before_the_view_counts_and_one_of_another_day_or_product_does_not() -> None:
    events = [
        *adds("A", "u1", at_ms=NOON - HOUR_MS),
        *views("A", "u1", "u2"),
        *adds("B", "u2"),
        *views("B", "u1"),
        *adds("A", "u2", at_ms=NOON - DAY_MS),
        *views("A", "u9", at_ms=NOON - DAY_MS),
    ]
    assert rates(board(events)) == {"A": 0.5, "B": 0.0}
    assert rates(board(events), window="all") == {"A": 1 / 3, "B": 0.0}


def test_days_are_added_up_before_they_are_divided() -> None:
    """Friday 1 of 1, Saturday 1 of 3: two of four person-days; u1 counts on both days."""
    saturday = NOON + DAY_MS
    events = [
        *views("A", "u1"),
        *adds("A", "u1"),
        *views("A", "u1", "u2", "u3", at_ms=saturday),
        *adds("A", "u1", at_ms=saturday),
    ]
    columns = board(events, vouch_ms=saturday + HOUR_MS)
    now_ms = saturday + HOUR_MS
    assert rates(columns, window="all", now_ms=now_ms) == {"A": 0.5}
    by_day = ask(columns, window="all", by="day", where="product=A", now_ms=now_ms)
    assert [row["atc_rate_pdp"] for row in by_day["rows"]] == [1, 1 / 3]
    assert rates(columns, window=FRIDAY, now_ms=now_ms) == {"A": 1}
    assert rates(columns, window="range:2024-11-29..2024-11-30", now_ms=now_ms) == {"A": 0.5}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("product_page_view", "add_to_cart")),
            st.sampled_from(("A", "B")),
            st.integers(-1, 1),
            st.sampled_from(PEOPLE),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_small_crowds_are_exact(found: list[tuple[str, str, int, str | None]]) -> None:
    events: list[Event] = []
    viewed, added = defaultdict[str, set[Any]](set), defaultdict[str, set[Any]](set)
    for number, (kind, product, day, user) in enumerate(found):
        events.append(traffic(kind, NOON + day * DAY_MS + number, user, product))
        if user is not None:
            (viewed if kind == "product_page_view" else added)[product].add((day, user))
    both_sources = [
        traffic(kind, NOON - 2 * DAY_MS, "u0", "Z") for kind in ("product_page_view", "add_to_cart")
    ]
    answer = rates(
        board([*events, *both_sources], vouch_ms=NOON + 2 * DAY_MS), window="all", now_ms=NOON + 2 * DAY_MS
    )
    for product in {product for _, product, _, _ in found}:
        people = viewed[product]
        expected = len(people & added[product]) / len(people) if people else None
        assert answer[product] == expected


def test_adders_without_a_viewer_have_no_rate() -> None:
    columns = board([*views("A", "u1"), *adds("B", "u1")])
    assert rates(columns) == {"A": 0.0, "B": None}
    assert why_null(columns) == {"B": "zero_divisor"}


def test_events_without_people_give_no_rate_and_lower_the_coverage() -> None:
    columns = board([*views("A", "u1", None), *adds("A", "u1", None), *views("B", None, None)])
    answer = ask(columns)
    assert rates(columns) == {"A": 1.0, "B": None}
    assert why_null(columns) == {"B": "source_gives_no_people"}
    assert answer["coverage"] == {"atc_rate_pdp": 2 / 6}
    assert "relative_error" not in answer


def test_a_rate_of_few_in_a_large_crowd_is_too_uncertain_and_of_many_is_not() -> None:
    """Of 20,000 viewers every fifth is in the sketch. 20 who added leave about 4 of them there, 4,000 leave 800."""
    viewers = crowd(20_000)
    columns = board(
        [
            *views("A", *viewers),
            *adds("A", *viewers[:20]),
            *views("B", *viewers),
            *adds("B", *viewers[:4_000]),
        ]
    )
    assert why_null(columns) == {"A": "too_uncertain"}
    answer = ask(columns)
    (error,) = answer["relative_error"].values()
    assert error == pytest.approx(0.032, abs=0.006)
    assert rates(columns)["B"] == pytest.approx(0.2, rel=3 * error)


def test_nobody_of_a_sampled_crowd_is_uncertain_and_nobody_of_a_small_one_is_none() -> None:
    """In A one added who did not view: that no viewer is in the sketch says little. In C nobody added at all."""
    columns = board(
        [
            *views("A", *crowd(9_000)),
            *adds("A", "other"),
            *views("B", "u1"),
            *adds("B", "other"),
            *views("C", *crowd(9_000)),
        ]
    )
    assert why_null(columns) == {"A": "too_uncertain"}
    assert rates(columns) == {"A": None, "B": 0, "C": 0}


def test_many_days_together_may_be_certain_where_one_is_not() -> None:
    viewers = crowd(9_000)
    events: list[Event] = []
    for day in range(8):
        at_ms = NOON - day * DAY_MS
        events += [
            *views("A", *viewers, at_ms=at_ms),
            *adds("A", *viewers[day * 150 : day * 150 + 150], at_ms=at_ms),
        ]
    columns = board(events)
    assert why_null(columns) == {"A": "too_uncertain"}
    assert rates(columns, window="all")["A"] == pytest.approx(150 / 9_000, rel=0.15)


def test_without_presses_there_is_no_source_and_feeds_that_are_apart_are_catching_up() -> None:
    assert why_null(board(views("A", "u1"))) == {"A": "no_source"}
    apart = board([*views("A", "u1"), *adds("A", "u1", at_ms=NOON - 10 * 60_000)])
    assert why_null(apart) == {"A": "catching_up"}


def test_a_day_that_an_earlier_version_began_to_fold_has_no_rate_and_the_next_one_has() -> None:
    """Before the upgrade the state kept counts without theta sketches; what is left of the day would be too low."""
    before = flush_of([*views("A", "u1"), *adds("A", "u1"), *views("B", "u1", at_ms=NOON - DAY_MS)])
    old = [row for row in before.rows if row.key.cube != PRODUCT_THETA.name]
    after = flush_of(
        [
            *views("A", "u2", at_ms=NOON + 1_000),
            *views("B", "u3", at_ms=NOON + 1_000),
            *adds("B", "u3", at_ms=NOON + 1_000),
        ],
        partition=1,
    )
    columns = Columns(board_settings())
    before.rows[:] = old
    columns.apply(before)
    columns.apply(after)
    columns.vouch(NOW)
    assert rates(columns) == {"A": None, "B": 1.0}
    assert why_null(columns) == {"A": "partly_kept"}
    assert why_null(columns, window="all") == {"A": "partly_kept", "B": "partly_kept"}


def test_a_new_flush_moves_the_rate() -> None:
    columns = board([*views("A", "u1", "u2"), *adds("A", "u1")])
    assert rates(columns) == {"A": 0.5}
    columns.apply(flush_of(adds("A", "u2"), partition=1))
    assert rates(columns) == {"A": 1.0}


def test_what_has_no_right_answer_is_refused_by_name() -> None:
    columns = board([*views("A", "u1"), *adds("A", "u1"), order("o1", NOON, [line("1", "A1", 100)])])
    assert refusal(columns, by="") == "needs_dimension"
    assert refusal(columns, by="day") == "needs_dimension"
    assert refusal(columns, by="slice,product") == "no_such_dimension"
    assert refusal(columns, by="sku") == "no_such_dimension"
    assert refusal(columns, by="hour,product") == "no_such_dimension"
    assert refusal(columns, by="product", window="last:30m") == "grain_too_coarse"
    assert refusal(columns, "demand_flag", by="day,product") == "no_such_dimension"
    assert refusal(columns, "demand_flag", by="") == "needs_dimension"


# -- high demand -----------------------------------------------------------------------------------------------------


def shop_of(rates_of: dict[str, int], viewers: int = 100) -> Columns:
    """Return a board on which so many of each product's page viewers add."""
    events: list[Event] = []
    for product, count in rates_of.items():
        people = crowd(viewers)
        events += [*views(product, *people), *adds(product, *people[:count])]
    return board(events)


def flags(columns: Columns, **params: Any) -> dict[str, str | None]:
    answer = ask(columns, "demand_flag", **params)
    return {row["product"]: row["demand_flag"] for row in answer["rows"]}


def high(columns: Columns, **numbers: Any) -> set[str]:
    return set(flagged_products(columns, columns.shop(SHOP), StockSettings(**numbers), NOW))


def test_the_top_tenth_of_the_shop_is_in_high_demand() -> None:
    columns = shop_of({f"P{number:02d}": number for number in range(1, 21)})
    assert high(columns) == {"P20", "P19"}
    assert {product for product, flag in flags(columns).items() if flag == "high"} == {"P20", "P19"}
    assert flags(columns)["P18"] == "usual"
    assert high(columns, demand_top_share=0.25) == {"P20", "P19", "P18", "P17", "P16"}
    assert high(columns, demand_top_share=1) == {f"P{number:02d}" for number in range(1, 21)}


def test_a_small_shop_has_one_product_on_top_and_a_single_product_has_no_rank() -> None:
    assert high(shop_of({"A": 3, "B": 2, "C": 1})) == {"A"}
    assert high(shop_of({"A": 3})) == set()
    assert flags(shop_of({"A": 3})) == {"A": "usual"}


def test_equal_rates_stand_or_fall_together() -> None:
    """Room for two of twenty: the best is in, the three that share the next place do not fit."""
    shares = {f"P{number:02d}": 1 for number in range(16)}
    assert high(shop_of({**shares, "A": 9, "B": 8, "C": 8, "D": 8})) == {"A"}
    assert high(shop_of({**shares, "A": 9, "B": 9, "C": 8, "D": 8})) == {"A", "B"}
    assert high(shop_of({"A": 2, "B": 2, "C": 2})) == set()


def test_a_product_that_nobody_adds_is_never_in_high_demand() -> None:
    assert high(shop_of({"A": 0, "B": 0})) == set()
    assert high(shop_of({"A": 1, "B": 0}), demand_top_share=1) == {"A"}


def test_few_viewers_are_not_ranked() -> None:
    columns = shop_of({"A": 3, "B": 2, "C": 1})
    columns.apply(flush_of([*views("D", *crowd(99)), *adds("D", *crowd(99))], partition=1))
    assert high(columns) == {"A"}
    answer = ask(columns, "demand_flag")
    assert answer["nulls"] == {"demand_flag": {"below_minimum": [3]}}
    assert high(columns, demand_min_viewers=99) == {"D"}


def test_a_rate_that_is_too_uncertain_is_not_ranked() -> None:
    columns = shop_of({"A": 3, "B": 2})
    columns.apply(flush_of([*views("C", *crowd(12_000)), *adds("C", *crowd(20))], partition=1))
    assert high(columns) == {"A"}
    assert ask(columns, "demand_flag")["nulls"] == {"demand_flag": {"too_uncertain": [2]}}


def test_only_today_flags_a_product_for_the_rule_and_any_days_may_be_asked_for() -> None:
    columns = shop_of({"A": 3, "B": 2})
    yesterday = NOON - DAY_MS
    columns.apply(
        flush_of(
            [
                *views("B", *crowd(100, 500), at_ms=yesterday),
                *adds("B", *crowd(90, 500), at_ms=yesterday),
                *views("A", *crowd(100, 500), at_ms=yesterday),
            ],
            partition=1,
        )
    )
    assert high(columns) == {"A"}
    assert flags(columns, window="day:2024-11-28") == {"A": "usual", "B": "high"}
    assert flags(columns, window="all") == {"A": "usual", "B": "high"}
    assert flags(columns, where="product=A") == {"A": "high"}


def test_a_shop_without_page_views_flags_nothing() -> None:
    assert high(board([order("o1", NOON, [line("1", "A1", 100)])])) == set()
    assert high(board(adds("A", "u1"))) == set()


def test_high_demand_stands_beside_the_state_of_the_stock_and_sorts_first() -> None:
    columns = shop_of({"A": 2, "B": 3, "C": 1})
    columns.apply(
        flush_of(
            [order("o1", NOON, [line("1", "A1", 100)]), stock("A1", 5_000, NOON), stock("B1", 0, NOON)],
            partition=1,
        )
    )
    columns.vouch(NOW)
    answer = ask(columns, "demand_flag,stock_status", sort="demand_flag")
    assert [tuple(row.values()) for row in answer["rows"]] == [
        ("B", "high", "out_of_stock"),
        ("A", "usual", "healthy"),
        ("C", "usual", None),
    ]
