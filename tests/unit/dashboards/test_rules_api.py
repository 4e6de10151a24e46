"""The rules over HTTP: which there are, and why one fired or did not."""

from __future__ import annotations

from dashboards.server import Extras
from streams.rule_context import RuleContext
from streams.rulebook import RULES, rules_of
from streams.rules import RuleState, evaluate
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import NOW_MS, empty_board, full_board
from tests.unit.streams.boards import SHOP


async def test_every_rule_is_listed_with_its_numbers(connect: Connect) -> None:
    client = await connect(full_board())
    found = (await (await client.get("/api/v1/rules")).json())["rules"]
    assert [rule["rule"] for rule in found] == [rule.number for rule in RULES]
    forecast = next(rule for rule in found if rule["rule"] == "A-01")
    assert forecast["settings"]["stock.page_min_sales"] == 5


async def test_an_open_incident_is_explained_by_a_board_that_does_not_evaluate(connect: Connect) -> None:
    client = await connect(full_board())
    answer = await client.get("/api/v1/rules/explain?rule=A-01&entity=C1")
    assert answer.status == 200
    said = await answer.json()
    assert (said["rule"], said["entity"], said["is_open"]) == ("A-01", "C1", True)
    assert said["sentence"].startswith("Linen dress runs out ~21:11")


async def test_the_board_that_evaluates_knows_what_its_rules_remember(connect: Connect) -> None:
    board = full_board()
    state = RuleState()
    shop = board.columns.shop(SHOP)
    context = RuleContext(board.columns, shop, board.settings, NOW_MS, state.incidents)
    evaluate(state, rules_of(board.settings), context)
    client = await connect(board, Extras(rule_state=lambda: state))
    said = await (await client.get("/api/v1/rules/explain?rule=A-01&entity=C1")).json()
    # Its own memory holds, not the alerts that are shown.
    assert said["is_open"] is False


async def test_an_unknown_rule_and_a_missing_entity_are_refused(connect: Connect) -> None:
    client = await connect(full_board())
    for query in ("rule=A-99&entity=C1", "rule=A-01", "entity=C1"):
        assert (await client.get(f"/api/v1/rules/explain?{query}")).status == 422
    answer = await client.get("/api/v1/rules/explain?rule=A-01&entity=C1&shop=none")
    assert answer.status == 404
    assert SHOP in (await answer.json())["mend"]


async def test_a_board_that_is_not_whole_explains_nothing(connect: Connect) -> None:
    board = empty_board()
    board.waiting = "loading"
    client = await connect(board)
    assert (await client.get("/api/v1/rules/explain?rule=A-01&entity=C1")).status == 503
