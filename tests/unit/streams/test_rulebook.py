"""The rulebook: what holds of every rule, whatever it looks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from streams.alerts import DELIVERED_ROUTES
from streams.rule import AlertRoute, Rule
from streams.rule_explain import settings_of
from streams.rule_settings import RuleSettings
from streams.rulebook import RULES, beside, rule_of, rules_of
from streams.settings import Settings
from streams.topics import SOURCE_TOPICS

ROOT: Final = Path(__file__).parents[3]
ASKED: Final = (
    *("A-01", "A-02", "A-03", "A-41", "A-42", "A-43", "A-63", "A-64", "A-65", "A-66"),
    *("A-76", "A-77", "A-78", "A-79"),
    *(
        "A-04",
        "A-05",
        "A-06",
        "A-07",
        "A-08",
        "A-09",
        "A-10",
        "A-14",
        "A-15",
        "A-16",
        "A-17",
        "A-18",
        "A-19",
        "A-20",
    ),
    *(
        "A-21",
        "A-22",
        "A-23",
        "A-24",
        "A-25",
        "A-26",
        "A-27",
        "A-28",
        "A-29",
        "A-30",
        "A-31",
        "A-32",
        "A-33",
        "A-34",
        "A-35",
    ),
    *("A-36", "A-38", "A-39", "A-40", "A-44", "A-46", "A-47", "A-49", "A-50", "A-59", "A-62"),
)
"""The rules that are to run now."""

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)


def test_the_rules_that_are_asked_for_run_each_once() -> None:
    assert sorted(rule.number for rule in RULES) == sorted(ASKED)
    assert len({rule.key for rule in RULES}) == len(RULES)


@each_rule
def test_a_rule_says_all_that_its_record_asks_for(rule: Rule) -> None:
    assert rule.title
    assert rule.condition
    assert rule.clears
    assert rule.sources
    assert all(re.fullmatch(r"S\d-\d\d", source) for source in rule.sources)
    assert rule.entity in {
        *("sku", "product", "shop", "campaign", "topic", "stream"),
        *("content", "account", "ad", "format", "metric"),
    }


@each_rule
def test_a_rule_reads_topics_that_there_are(rule: Rule) -> None:
    assert set(rule.reads) <= {topic.name for topic in SOURCE_TOPICS}


@each_rule
def test_the_numbers_of_a_rule_are_settings(rule: Rule) -> None:
    assert settings_of(rule, Settings()).keys() == set(rule.settings)
    named = {name for text in (rule.condition, rule.minimum, rule.clears) for name in _settings_in(text)}
    assert named <= set(rule.settings)


def _settings_in(text: str) -> list[str]:
    return re.findall(r"\b(?:rules|stock|board|goals)\.[a-z_]+", text)


@each_rule
def test_what_leaves_the_screen_has_advice_and_a_runbook(rule: Rule) -> None:
    if rule.route not in DELIVERED_ROUTES:
        assert rule.runbook == ""
        return
    headings = (ROOT / "docs" / "RUNBOOK.md").read_text(encoding="utf-8").splitlines()
    anchors = {line[3:].lower().replace(" ", "-") for line in headings if line.startswith("## ")}
    assert rule.runbook in anchors
    assert rule.advice


def test_goals_never_page() -> None:
    # spec/alerts.md, rules about rules: "A-41 never pages".
    assert {rule.number for rule in RULES if rule.route is AlertRoute.PAGE} == {
        *("A-01", "A-02", "A-04", "A-65", "A-77", "A-78")
    }


def test_a_rule_is_found_by_number_and_by_key_in_any_case() -> None:
    assert rule_of("a-41") is rule_of("goal_behind") is rule_of("GOAL_BEHIND")
    assert rule_of("A-41") is not None
    assert rule_of("A-99") is None


def test_a_rule_that_is_switched_off_does_not_run() -> None:
    settings = Settings(rules=RuleSettings(off=("A-76", "A-41")))
    assert {rule.number for rule in RULES} - {rule.number for rule in rules_of(settings)} == {"A-76", "A-41"}


def test_a_rule_runs_beside_those_that_it_asks() -> None:
    assert {"A-01", "A-02"} <= {rule.number for rule in beside(("A-02",), RULES)}


def test_the_rules_are_documented_as_they_are() -> None:
    page = (ROOT / "docs" / "ALERTS.md").read_text(encoding="utf-8")
    rows = {line.split(" ")[1]: line for line in page.splitlines() if line.startswith("| A-")}
    assert rows.keys() == {rule.number for rule in RULES}
    for rule in RULES:
        assert f"`{rule.key}`" in rows[rule.number]
