"""A test for each feature of the briefs: what answers it is right, and an answer of nulls, or none, is noticed."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from streams.views import VIEWS
from tests.features import campaign_dashboard, campaign_products, kpi_guide, product_guide
from tests.features.feature import FEATURES, Feature
from tests.features.world import World, nulled
from tools.generate_traceability import features, unanswered
from warroom.cli import main

ROOT = Path(__file__).resolve().parents[2]
BRIEFS = (product_guide, campaign_dashboard, campaign_products, kpi_guide)
"""Modules that register features."""

pytestmark = pytest.mark.timeout(120)
EVERY = [pytest.param(each, id=each.id) for each in FEATURES.values()]
NOTICED = (AssertionError, TypeError, ValueError, KeyError, IndexError, AttributeError)
"""How a check fails on an answer of nulls."""


def test_every_feature_of_the_list_has_a_test() -> None:
    assert [each.id for each in features(ROOT) if each.id not in FEATURES] == []
    assert FEATURES.keys() <= {each.id for each in features(ROOT)}


def test_every_feature_of_the_list_is_answered_by_a_record_or_a_command() -> None:
    assert unanswered(ROOT) == []


def test_every_principle_names_the_view_that_honours_it() -> None:
    named = {each.id: each.principle_of for each in features(ROOT) if each.principle_of}
    assert {id: view for id, view in named.items() if id not in VIEWS[view].sources} == {}
    assert named


def test_the_list_of_features_is_whole() -> None:
    """Of scope M: 66 of the product guide, 69 of the campaign dashboard, 63 of the KPI guide; none twice."""
    listed = [each.id for each in features(ROOT)]
    assert [sum(id.startswith(brief) for id in listed) for brief in ("S1", "S4", "S5")] == [66, 69, 63]
    assert len(set(listed)) == len(listed)


def test_commands_and_requests_of_the_table_exist() -> None:
    """Commands by their help, requests by their routes, pages by their headings."""
    routes = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "dashboards").glob("*_api.py"))
    routes += (ROOT / "dashboards/exports.py").read_text(encoding="utf-8")
    for name in {one for each in features(ROOT) for one in each.also}:
        if name.startswith("warroom "):
            command: click.Command = main
            for word in name.split()[1:]:
                assert isinstance(command, click.Group), name
                command = command.commands[word]
        elif name.startswith("docs/"):
            page, _, anchor = name.partition("#")
            text = (ROOT / page).read_text(encoding="utf-8").lower()
            assert f"\n## {anchor.replace('-', ' ')}\n" in text, name
        else:
            assert f'"{name.split()[1]}"' in routes, name


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
