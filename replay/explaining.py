"""Why a rule fired at an instant of a recording: the rules look on from the shop's midnight to there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from replay.clock import local_instant_ms
from replay.looking_back import columns_at
from replay.recording import Recording
from streams.days import HOUR_MS, MINUTE_MS, BusinessCalendar
from streams.errors import QueryError
from streams.rule_context import Memo, RuleContext
from streams.rule_explain import Explanation, explain
from streams.rulebook import RULES, beside, rule_of, rules_of
from streams.rules import RuleState, evaluate

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings, ShopSettings

FAR_STEP_MS: Final = 5 * MINUTE_MS
NEAR_STEP_MS: Final = MINUTE_MS
NEAR_MS: Final = HOUR_MS
"""In the hour before the instant the rules look once a minute, since the shop's midnight every five."""


def explain_recording(
    path: Path, settings: Settings, name: str, entity: str, *, at: str | None, shop_id: str | None
) -> Explanation:
    """Return why a rule did or did not fire on an entity at an instant of a recording.

    Args:
        path: of the recording.
        settings: win over the recording's manifest where both name the shop.
        name: number or key of the rule.
        entity: id or name.
        at: shop time such as `2011-11-25T20:00`, or ms since the epoch; None: the recording's end.
        shop_id: needed where the recording has several.

    Raises:
        RecordingError: the recording cannot be read.
        QueryError: there is no such rule or shop, or no such instant.
    """
    rule = rule_of(name)
    if rule is None:
        what = f"There is no rule {name!r}."
        mend = f"Known: {', '.join(one.number for one in RULES)}."
        raise QueryError(what, reason="unknown_rule", mend=mend)
    recording = Recording.open(path, settings.shops)
    known = settings.with_shops(recording.shops)
    shop = _shop(known, recording, shop_id)
    at_ms = recording.span_ms()[1] if at is None else _instant(at, shop)
    state = RuleState()
    rules = beside((rule.number,), rules_of(known))
    context = None
    memo: Memo = {}
    for now_ms, columns in columns_at(recording, known, _instants(at_ms, shop)):
        context = RuleContext(columns, shop, known, now_ms, state.incidents, memo=memo)
        evaluate(state, rules, context)
    assert context is not None  # noqa: S101 # `_instants` ends in at_ms
    return explain(rule, entity, context, state)


def _instants(at_ms: int, shop: ShopSettings) -> list[int]:
    calendar = BusinessCalendar(shop.timezone)
    near_ms = at_ms - NEAR_MS
    midnight_ms = min(calendar.day_start_ms(calendar.day_of(at_ms)), near_ms)
    far = range(midnight_ms, near_ms, FAR_STEP_MS)
    return [*far, *range(near_ms, at_ms, NEAR_STEP_MS), at_ms]


def _shop(settings: Settings, recording: Recording, shop_id: str | None) -> ShopSettings:
    shops = sorted(recording.shops)
    if shop_id is None and len(shops) == 1:
        shop_id = shops[0]
    if shop_id not in settings.shops:
        what = "Name the shop." if shop_id is None else f"There is no shop {shop_id!r}."
        raise QueryError(what, reason="unknown_shop", mend=f"With --shop, one of: {', '.join(shops)}.")
    return settings.shops[shop_id]


def _instant(text: str, shop: ShopSettings) -> int:
    try:
        return local_instant_ms(text, shop.timezone)
    except ValueError as error:
        what = f"{error}."
        raise QueryError(what, reason="bad_request", mend="Write 2011-11-25T20:00, or ms.") from error
