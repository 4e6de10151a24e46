"""Why a rule fired, or why it did not."""

from __future__ import annotations

import dataclasses
from typing import Any

from streams.days import HOUR_MS, MINUTE_MS
from streams.rule import Judgement, Reading, Rule
from streams.rule_context import RuleContext
from streams.rule_explain import Explanation, explain, rule_document, settings_of
from streams.rule_settings import RuleSettings
from streams.rulebook import rule_of
from streams.rules import RuleState, evaluate
from streams.settings import Settings, ShopSettings
from tests.unit.streams.boards import SHOP, board
from tests.unit.streams.test_rules import NOW, reading

COLUMNS = board([])


class Asked:
    """A-01's record with a finder that a test answers for, and an engine beside it."""

    def __init__(self, settings: Settings | None = None) -> None:
        known = rule_of("A-01")
        assert known is not None
        self.found: list[Reading] = []
        self.rule: Rule = dataclasses.replace(
            known, find=lambda _: self.found, text=lambda found, _: f"{found.entity.name} runs out."
        )
        self.settings = settings or Settings()
        self.state = RuleState()
        self.now_ms = NOW

    def sees(self, judgement: Judgement, *, after_ms: int = 0, **more: Any) -> Explanation:
        self.now_ms += after_ms
        self.found = [reading(judgement, value=2.0, threshold=3.0, **more)]
        context = self.context()
        evaluate(self.state, (self.rule,), context)
        return explain(self.rule, "e1", context, self.state)

    def context(self, *, stale: frozenset[str] = frozenset()) -> RuleContext:
        shop = ShopSettings(SHOP, "UTC")
        context = RuleContext(COLUMNS, shop, self.settings, self.now_ms, self.state.incidents)
        vars(context)["stale"] = stale
        return context


def test_what_fires_but_has_not_held_yet_says_how_long_it_still_takes() -> None:
    asked = Asked()
    asked.sees(Judgement.FIRES)
    said = asked.sees(Judgement.FIRES, after_ms=40_000)
    assert said.answer == (
        "Not open: its condition holds (it is 2 hours, the line is 3 hours), and opens when it has held for 20 s more."
    )
    assert (said.held_ms, said.hold_ms, said.is_open) == (40_000, MINUTE_MS, False)
    assert said.sentence.startswith("Product e1 runs out. Do: add stock")


def test_what_has_fired_names_the_incident_and_what_it_said() -> None:
    asked = Asked()
    asked.sees(Judgement.FIRES)
    said = asked.sees(Judgement.FIRES, after_ms=MINUTE_MS)
    assert said.answer.startswith(
        "It fired: s1/c1/A-01/e1/2024-11-29 is open since 20:01. It closes: the late end"
    )
    assert (said.is_open, said.opened_at_ms) == (True, NOW + MINUTE_MS)
    clearing = asked.sees(Judgement.CLEAR, after_ms=MINUTE_MS)
    assert clearing.answer.endswith("It closes when its clearing condition has held for 600 s more.")


def test_what_does_not_fire_says_which_part_of_it_is_missing() -> None:
    asked = Asked()
    assert "its condition does not hold (it is 2 hours, the line is 3 hours): the late" in (
        asked.sees(Judgement.CLEAR).answer
    )
    assert "it is near, but not all of its condition holds" in asked.sees(Judgement.BETWEEN).answer
    thin = asked.sees(Judgement.THIN, volume=4, minimum=5)
    assert "there is too little to go by: 4, and the least is 5 (stock.page_min_sales" in thin.answer
    assert asked.sees(Judgement.HELD).answer == "Not open: a figure that it needs is unknown."
    assert asked.sees(Judgement.ENDED).answer == "Not open: what it watches is over."
    assert thin.sentence == ""


def test_a_stale_topic_is_the_reason_whatever_else_is_true() -> None:
    asked = Asked()
    asked.sees(Judgement.FIRES)
    said = explain(asked.rule, "e1", asked.context(stale=frozenset({"stock", "clicks"})), asked.state)
    assert said.answer == "Not open: the feed of stock is stale, so that nothing opens and nothing closes."
    assert said.stale == ("stock",)


def test_an_incident_that_is_over_is_told_with_its_end() -> None:
    asked = Asked()
    asked.sees(Judgement.FIRES)
    asked.sees(Judgement.FIRES, after_ms=MINUTE_MS)
    said = asked.sees(Judgement.ENDED, after_ms=HOUR_MS)
    assert said.answer.endswith("The last one was open from 20:01 to 21:01 (ended).")


def test_the_hour_before_is_told_in_changes() -> None:
    asked = Asked()
    for judgement in (Judgement.CLEAR, Judgement.FIRES, Judgement.FIRES, Judgement.BETWEEN):
        said = asked.sees(judgement, after_ms=MINUTE_MS // 2)
    assert said.history == (
        (NOW + MINUTE_MS, "fires", 2.0),
        (NOW + 2 * MINUTE_MS, "between", 2.0),
    )


def test_an_entity_that_is_not_there_gets_names_like_it() -> None:
    asked = Asked()
    asked.found = [reading(Judgement.CLEAR, "dress-M"), reading(Judgement.CLEAR, "hat")]
    said = explain(asked.rule, "dres-M", asked.context(), asked.state)
    assert (
        said.answer == "A-01 looks at 2 of kind sku, and 'dres-M' is none of them."
        " There is, for example: dress-M (Product dress-M)."
    )
    asked.found = []
    assert "what it needs is not there" in explain(asked.rule, "x", asked.context(), None).answer


def test_an_entity_may_be_named_as_people_name_it() -> None:
    asked = Asked()
    asked.sees(Judgement.CLEAR)
    assert explain(asked.rule, "PRODUCT E1", asked.context(), None).entity == "e1"


def test_a_rule_that_is_switched_off_says_so() -> None:
    asked = Asked(Settings(rules=RuleSettings(off=("A-01",))))
    assert asked.sees(Judgement.FIRES).answer == "A-01 is switched off (rules.off)."


def test_a_rule_is_listed_with_the_numbers_that_are_set() -> None:
    asked = Asked()
    numbers = settings_of(asked.rule, Settings())
    assert numbers["stock.page_lead_ms"] == 3 * HOUR_MS
    changed = Settings(rules=RuleSettings(off=("A-01",), hold_ms={"A-01": 5}))
    document = rule_document(asked.rule, changed)
    assert (document["on"], document["hold_ms"], document["settings"]) == (False, 5, numbers)
