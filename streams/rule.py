"""A rule as data, and what a look at its entities found: the contract between rules, engine and delivery.

A rule is one record: what it looks at, when it fires, what makes a number too thin to fire on, when it clears, who is
told how. Its condition is a function over one shop's answers that says what it found of each entity; the engine
(`streams.rules`) alone decides what opens and closes.

Source: spec/alerts.md, "Rules about rules".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.alerts import Alert
    from streams.rule_context import RuleContext


class Severity(StrEnum):
    """How bad it is; a page interrupts a person, the others wait to be read."""

    PAGE = "page"
    WARNING = "warning"
    NOTE = "note"


class AlertRoute(StrEnum):
    """Where it is told: a page interrupts, a channel message is read soon, a digest waits for its hour."""

    PAGE = "page"
    CHANNEL = "channel"
    DIGEST = "digest"
    PANEL = "panel"


class Owner(StrEnum):
    """Who acts on it; the owner picks the channel."""

    OPS = "ops"
    ADS = "ads"
    CONTENT = "content"
    FINANCE = "finance"
    PLATFORM = "platform"


class Judgement(StrEnum):
    """What one look at one entity says, before holds: the engine opens after FIRES for `hold_ms`, closes after CLEAR
    for `clear_ms`, and on all others leaves what is open open and what is closed closed.
    """

    FIRES = "fires"
    BETWEEN = "between"
    """Inside the band between firing and clearing level."""
    CLEAR = "clear"
    THIN = "thin"
    """Below the minimum volume: nothing can be said from so little (A-70)."""
    HELD = "held"
    """A figure that it needs is unknown."""
    ENDED = "ended"
    """What it watched is over: an open incident closes at once."""


@dataclass(frozen=True, slots=True)
class Entity:
    """What a rule looks at: a SKU, product, shop, campaign, topic, stream, content, account, ad, format or metric.

    Attributes:
        kind: one of these.
        id: in its kind; part of the alert's id.
        name: what a person calls it; foreign text, cleaned (`alerts.clean_name`) and escaped where it is shown.
        campaign_id, product_id, sku_id: where known; alerts are grouped by campaign.
    """

    kind: str
    id: str
    name: str
    campaign_id: str = ""
    product_id: str = ""
    sku_id: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at one entity found.

    Attributes:
        judgement: before holds.
        value, threshold, clearing: the number that decides, where it fires and where it clears; units are the rule's
            (`Rule.unit`); None where unknown.
        volume, minimum: what the minimum volume is counted in; None where the rule has none.
        severity, route: in place of the rule's own, where the condition decides (A-41 amber or red); None: the rule's.
        money_minor: the money in it, minor units, 0 where none: sorts what is told together.
        figures: what the message and the receivers may want, by name; JSON scalars.
        extra: fields of `alerts.Alert` to set, for example `predicted_ms`; on CLEAR and ENDED also `resolution`, on a
            reading of `Rule.missed` when it `opened_at_ms` and `resolved_at_ms`.
        news: what is open is published anew with these figures; receivers, who know of it, are not told again.
    """

    entity: Entity
    judgement: Judgement
    value: float | None = None
    threshold: float | None = None
    clearing: float | None = None
    volume: float | None = None
    minimum: float | None = None
    severity: Severity | None = None
    route: AlertRoute | None = None
    money_minor: int = 0
    figures: Mapping[str, int | float | str | None] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    news: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        number, key: in spec/alerts.md, `A-41` and `goal_behind`.
        title: a few words.
        entity: kind that it looks at.
        reads: topics without prefix; when one that the shop requires is stale, the rule is held (X-82).
        find: condition over the shop's answers; one reading per entity that there is anything to say of. An entity
            that is open and no longer found is closed as ended.
        condition, minimum, clears: in words with the settings' names, for `warroom rules list` and the docs.
        unit: of `Reading.value`, for example `hours`, `%`, `orders`.
        hold_ms: FIRES must last this long; clear_ms: so must CLEAR.
        once: said once per entity and never closed (A-42).
        closing: what it says when it closes, from the closed alert; None: a sentence made of title, name and value.
        missed: what began and ended between two instants at which the rule did not look: a hole in the feed, a board
            that was down. It goes to history, told to nobody. None: such a thing leaves no trace in the facts.
        severity, owner, route: see their types.
        advice: what to do, a few words, imperative.
        text: what it says when it opens: the sentence without advice, from its reading.
        runbook: anchor in docs/RUNBOOK.md for rules that leave the screen; empty for others.
        settings: keys of settings that hold its numbers, for example `stock.page_lead_ms`.
        sources: ids of the features behind it.
    """

    number: str
    key: str
    title: str
    entity: str
    reads: tuple[str, ...]
    find: Callable[[RuleContext], Iterable[Reading]]
    condition: str
    minimum: str
    clears: str
    unit: str
    hold_ms: int
    clear_ms: int
    severity: Severity
    owner: Owner
    route: AlertRoute
    advice: str
    text: Callable[[Reading, RuleContext], str]
    runbook: str
    settings: tuple[str, ...]
    sources: tuple[str, ...]
    once: bool = False
    closing: Callable[[Alert], str] | None = None
    missed: Callable[[RuleContext, int, int], Iterable[Reading]] | None = None
