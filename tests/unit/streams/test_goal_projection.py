"""The value at the end: from sales so far and what is expected of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.goal_projection import EndValue, project_end

amounts = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


def test_the_straight_line_goes_on_as_it_was_on_the_whole() -> None:
    # 30 sold in 3 of 12 hours, most of it in the first: 10 an hour, 90 to come.
    end = project_end(
        sold=np.array([24.0, 3.0, 3.0]), passed=np.ones(3), remaining=9.0, basket=1.0, days=0, shaped=False
    )
    assert end is not None
    assert end.mid == pytest.approx(120.0)


def test_what_is_to_come_follows_the_shape() -> None:
    # On plan so far (10 of 10 an hour expected), and the evening is expected to bring three times the morning.
    end = project_end(sold=np.full(4, 10.0), passed=np.full(4, 10.0), remaining=120.0, basket=1.0, days=0)
    assert end is not None
    assert end.mid == pytest.approx(160.0)


def test_the_last_hours_count_most() -> None:
    # One quarter of the whole shape lies between the two halves: 2^-1 against 2^0 in the middle of each.
    end = project_end(
        sold=np.array([50.0, 100.0]), passed=np.array([25.0, 25.0]), remaining=50.0, basket=1.0, days=0
    )
    assert end is not None
    # Level (0.5 x 50 + 1 x 100) / (0.5 x 25 + 1 x 25) = 3.333; 150 + 3.333 x 50.
    assert end.mid == pytest.approx(150 + 125 / 37.5 * 50)


def test_before_anything_is_sold_the_own_earlier_days_are_the_forecast() -> None:
    end = project_end(sold=np.zeros(0), passed=np.zeros(0), remaining=240.0, basket=1.0, days=6)
    assert end is not None
    assert end.mid == pytest.approx(240.0)
    assert end.low < 180 < 300 < end.high


def test_a_wish_is_no_forecast_before_anything_is_sold() -> None:
    assert project_end(sold=np.zeros(2), passed=np.ones(2), remaining=10.0, basket=1.0, days=0) is None


def test_a_level_far_from_the_earlier_days_is_believed_once_it_is_seen() -> None:
    # 1,000 sold where 200 were expected: a campaign of five times an ordinary day; 800 more were expected.
    end = project_end(sold=np.full(4, 250.0), passed=np.full(4, 50.0), remaining=800.0, basket=1.0, days=6)
    assert end is not None
    assert 4_000 < end.mid < 5_000


def test_at_the_end_the_value_is_what_was_sold() -> None:
    end = project_end(sold=np.array([7.0]), passed=np.array([5.0]), remaining=0.0, basket=1.0, days=0)
    assert end == EndValue(7.0, 7.0, 7.0)


def test_where_most_likely_nothing_more_is_sold_the_low_end_is_the_value_itself() -> None:
    # Half an order to come: nothing more comes with a chance of about e^-0.5 = 61 %.
    end = project_end(sold=np.full(10, 10.0), passed=np.full(10, 10.0), remaining=0.5, basket=1.0, days=6)
    assert end is not None
    assert end.low == 100.0
    assert end.high > 100.5


@given(amounts, st.floats(0, 1e6), st.floats(0.01, 1e5), st.sampled_from([0, 1, 6]), st.booleans())
def test_the_interval_holds_the_middle_and_never_less_than_what_is_sold(
    sold: list[float], remaining: float, basket: float, days: int, shaped: bool
) -> None:
    passed = np.full(len(sold), 3.0)
    end = project_end(
        sold=np.array(sold), passed=passed, remaining=remaining, basket=basket, days=days, shaped=shaped
    )
    if end is not None:
        assert sum(sold) <= end.low * (1 + 1e-9)
        assert end.low <= end.mid <= end.high < float("inf")


@given(amounts, st.floats(0.1, 1e3))
def test_the_scale_of_a_plan_says_nothing(sold: list[float], factor: float) -> None:
    passed = np.linspace(1, 2, len(sold))
    one = project_end(sold=np.array(sold), passed=passed, remaining=9.0, basket=2.0, days=0)
    other = project_end(
        sold=np.array(sold), passed=passed * factor, remaining=9.0 * factor, basket=2.0, days=0
    )
    if one is None or other is None:
        assert one is other
    else:
        assert other.mid == pytest.approx(one.mid)
        assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_eight_of_ten_ends_lie_inside() -> None:
    """A shop whose level of the day, and of each hour, is drawn as the constants say."""
    draw = np.random.default_rng(7)
    shape = np.array([2.0] * 6 + [10.0] * 6 + [6.0] * 6 + [20.0] * 6)
    inside = 0
    for _ in range(400):
        before, after = draw.lognormal(0, 0.35), draw.lognormal(0, 0.25)
        level = np.where(np.arange(24) < 12, before, before * after)
        real = draw.poisson(shape * level)
        end = project_end(
            sold=real[:12].astype(float),
            passed=shape[:12],
            remaining=float(shape[12:].sum()),
            basket=1.0,
            days=6,
        )
        assert end is not None
        inside += end.low <= real.sum() <= end.high
    assert 290 <= inside <= 350
