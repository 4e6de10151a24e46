"""Every reason for a null has words, in one place, wherever a person meets it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from dashboards.missing import missing
from streams import null_reasons, series
from streams.explain_words import MENDS
from streams.metric import NULL_REASONS
from streams.reason_words import NO_CAMPAIGN, SHORT, in_short, in_words
from streams.view_labels import NO_CARD
from streams.views import VIEWS, run_view
from tests.unit.dashboards.shops import orders_board

WEB = Path(__file__).parents[3] / "dashboards" / "web"


def test_every_reason_has_a_sentence_a_mend_and_a_few_words() -> None:
    assert NULL_REASONS.keys() == SHORT.keys() == MENDS.keys()
    assert NO_CARD in NULL_REASONS
    assert all(len(words) <= 40 for words in SHORT.values())


def test_every_reason_that_the_query_layer_marks_has_words() -> None:
    """Read from the source: a reason that somebody adds there has none until it is added here."""
    calls = [
        node
        for module in (null_reasons, series)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and {getattr(node.func, at, "") for at in ("id", "attr")} & {"mark", "_mark_spans"}
    ]
    marked = {arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)}
    assert {"no_source", "not_begun", "no_detail_before", "catching_up", "source_gives_no_skus"} < marked
    assert marked <= NULL_REASONS.keys()


def test_the_pages_keep_no_words_of_their_own() -> None:
    for page in WEB.glob("*.js"):
        text = page.read_text()
        own = {reason for reason in NULL_REASONS if f"{reason}:" in text}
        # A part of a view without a source is in this state, which is not the reason of a cell.
        assert own <= ({"no_source"} if page.name == "views.js" else set())


def test_the_wall_is_told_in_words_what_is_missing() -> None:
    assert missing("not_begun")["says"] == "not begun yet"
    assert missing("no_source", ["cm.clicks"])["says"] == "needs cm.clicks"
    assert missing("no_source")["says"] == "no source feeds this"
    assert missing(NO_CAMPAIGN)["says"] == "needs cm.campaigns"
    assert missing(None)["says"] == "no answer"
    assert in_short("grain_that_nobody_knows") == "grain that nobody knows"


def test_a_view_says_the_reasons_of_its_empty_cells_in_words() -> None:
    board = orders_board()
    document = run_view(board.columns, VIEWS["overview"], {}, now_ms=board.now_ms()).document()
    named = {reason for part in document["parts"] for found in part["nulls"].values() for reason in found}
    assert "no_source" in named
    assert document["reasons"] == {reason: NULL_REASONS[reason] for reason in named}


def test_every_reason_of_several_answers_is_said_once() -> None:
    nulls = [{"ctr": {"no_source": [0]}}, {"ctor": {"no_source": [1], "zero_divisor": [2]}}]
    assert list(in_words(nulls)) == ["no_source", "zero_divisor"]
