"""Numbers of the rules: bounds, and pairs of which the first must not exceed the second."""

from __future__ import annotations

from typing import Any

import pytest

from streams.errors import SettingsError
from streams.settings_check import checked_settings


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        ("goal_red_pace", "goal_amber_pace", (0.8, 0.7)),
        ("goal_amber_pace", "goal_clear_pace", (0.9, 0.89)),
        ("cancel_clear_factor", "cancel_factor", (3.0, 2.0)),
        ("slow_share", "slow_clear_share", (0.3, 0.2)),
        ("stop_most_share", "stop_clear_share", (0.8, 0.7)),
    ],
)
def test_a_clearing_level_on_the_wrong_side_of_the_firing_level_is_refused(
    low: str, high: str, values: tuple[float, float]
) -> None:
    with pytest.raises(
        SettingsError, match=rf"rules\.{low} = {values[0]} exceeds rules\.{high} = {values[1]}"
    ):
        checked_settings({"rules": {low: values[0], high: values[1]}}, place="warroom.toml")


@pytest.mark.parametrize(
    ("key", "value"),
    [("stop_chance", 1.5), ("slip_share", -0.1), ("stop_window_ms", 1_000), ("slip_min_orders", 0)],
)
def test_a_number_that_would_make_a_rule_fire_always_or_never_is_out_of_bounds(
    key: str, value: float
) -> None:
    with pytest.raises(SettingsError, match=rf"rules\.{key} = .* is out of bounds"):
        checked_settings({"rules": {key: value}}, place="warroom.toml")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"views": {"unbound": ["product_detail"]}}, "product_details"),
        ({"rules": {"band_window": "last 7"}}, "last7"),
    ],
)
def test_a_view_or_window_that_is_none_is_refused_with_near_ones(document: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        checked_settings(document, place="warroom.toml")


def test_views_and_windows_that_are_there_are_taken() -> None:
    document = {"views": {"unbound": ["product_details"]}, "rules": {"band_window": "weeks:2"}}
    checked = checked_settings(document, place="warroom.toml")
    assert (checked.views.unbound, checked.rules.band_window) == (("product_details",), "weeks:2")
