"""A test for each feature of the briefs: what answers it is right; and an answer of nulls, or none, would be noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.views import VIEWS
from tests.features import campaign_dashboard, product_guide
from tests.features.feature import FEATURES, Feature
from tests.features.world import World, nulled
from tools.generate_traceability import LIST, documents, features, unanswered

ROOT = Path(__file__).resolve().parents[2]
BRIEFS = (product_guide, campaign_dashboard)
"""Modules that register features."""

pytestmark = pytest.mark.timeout(120)
EVERY = [pytest.param(each, id=each.id) for each in FEATURES.values()]
NOTICED = (AssertionError, TypeError, ValueError, KeyError, IndexError, AttributeError)
"""How a check fails on an answer of nulls."""


@pytest.mark.parametrize("feature", EVERY)
def test_feature(world: World, feature: Feature) -> None:
    feature.check(world, feature.ask(world))


@pytest.mark.parametrize("feature", EVERY)
def test_a_null_in_the_place_of_the_answer_is_noticed(world: World, feature: Feature) -> None:
    """The mutation run: each feature's answer with every value null, and without rows."""
    rows = feature.ask(world)
    with pytest.raises(NOTICED):
        feature.check(world, nulled(rows))
    with pytest.raises(NOTICED):
        feature.check(world, [])
