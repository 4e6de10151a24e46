"""The clock of the demo's player: it waits for the board and for whoever looks at its screen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from warroom.demo import BEHIND_AT_MOST_S, BEYOND_A_LOOK_MS, BEYOND_A_LOOK_S, LOOKING_S, FollowedClock

SPEED: Final = 600.0
A_SECOND_MS: Final = 600_000
OPEN_MS: Final = 1_795_840_200_000


class Evening:
    """A player whose records are folded at once or not at all, and a clock that is set by hand."""

    def __init__(self, speed: float = SPEED) -> None:
        self.now_s = 100.0
        self._a_second_ms = 1000 * speed
        self.player_ms = 0.0
        self.board = SimpleNamespace(columns=SimpleNamespace(vouched_ms=OPEN_MS))
        self.clock = FollowedClock(cast("Any", self.board), OPEN_MS, speed, monotonic_s=lambda: self.now_s)
        self.clock.runs = True

    def passes(self, seconds: float, *, looks: bool = False, folds: bool = True) -> None:
        """Let wall time pass in one step; the board folds what was played, and somebody looks at it."""
        self.now_s += seconds
        self.player_ms = self.clock() * self._a_second_ms
        if folds:
            self.board.columns.vouched_ms = OPEN_MS + int(self.player_ms)
        if looks:
            self.clock.looked(self.board.columns.vouched_ms)


@pytest.fixture
def evening() -> Evening:
    return Evening()


def test_it_stands_until_it_runs_and_then_goes_with_the_wall(evening: Evening) -> None:
    evening.clock.runs = False
    evening.passes(2.0)
    assert evening.player_ms == 0
    evening.clock.runs = True
    for _ in range(10):
        evening.passes(0.5)
    assert evening.player_ms == pytest.approx(5 * A_SECOND_MS)


def test_a_board_that_does_not_follow_is_waited_for(evening: Evening) -> None:
    for _ in range(20):
        evening.passes(0.5, folds=False)
    assert evening.player_ms == pytest.approx(BEHIND_AT_MOST_S * A_SECOND_MS)
    evening.board.columns.vouched_ms = OPEN_MS + int(evening.player_ms)
    evening.passes(0.5)
    assert evening.player_ms == pytest.approx((BEHIND_AT_MOST_S + 0.5) * A_SECOND_MS)


def test_between_two_looks_never_passes_more_than_a_look_may_miss(evening: Evening) -> None:
    evening.passes(0.5, looks=True)
    for _ in range(8):
        evening.passes(0.5)
    assert evening.player_ms == pytest.approx(0.5 * A_SECOND_MS + BEYOND_A_LOOK_MS)


def test_a_day_that_is_played_faster_than_the_demo_is_not_held_to_its_feed_by_looks() -> None:
    fast = Evening(speed=3_000.0)
    fast.passes(0.5, looks=True)
    for _ in range(8):
        fast.passes(0.5)
    assert BEYOND_A_LOOK_S * 3_000_000 > BEYOND_A_LOOK_MS
    assert fast.player_ms == pytest.approx((0.5 + BEYOND_A_LOOK_S) * 3_000_000)


def test_a_stall_is_not_leapt_over_in_one_step(evening: Evening) -> None:
    evening.passes(0.5, looks=True)
    evening.passes(LOOKING_S - 0.1)
    assert evening.player_ms == pytest.approx(0.5 * A_SECOND_MS + BEYOND_A_LOOK_MS)


def test_a_screen_that_is_closed_or_asleep_holds_up_nothing(evening: Evening) -> None:
    evening.passes(0.5, looks=True)
    for _ in range(60):
        evening.passes(0.5)
    assert evening.player_ms > 25 * A_SECOND_MS - BEYOND_A_LOOK_MS
