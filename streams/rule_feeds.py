"""The rules on feeds: A-64 today is not real time, A-65 a feed is missing, A-66 the shop is disconnected.

Source: spec/alerts.md A-64 to A-66; X-82.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.alerts import Alert, Resolution, clean_name
from streams.days import MINUTE_MS
from streams.goals import running_campaign
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rules import lasted_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rule_context import RuleContext


def find_lagging(context: RuleContext) -> Iterator[Reading]:
    """Yield, of each required topic, how far what is processed lies behind the feed.

    The end of the feed is known where records wait to be folded, or where heartbeats say how far it was sent. Silence
    without either is idle, which is for X-82 to judge.
    """
    settings = context.settings.rules
    amber_s, red_s = settings.lag_amber_ms / 1000, settings.lag_red_ms / 1000
    running = running_campaign(context.columns, context.shop, as_of_ms=context.now_ms) is not None
    for topic in sorted(context.shop.required_topics):
        behind_s = _behind_ms(context, topic) / 1000
        stale = _is_silent(context, topic)
        # A feed that never sent anything is not set up yet, which nobody gets up for.
        heard_ms = _heard_ms(context, topic)
        late = (
            behind_s > red_s and _told_for_ms(context, topic) >= settings.lag_red_ms - settings.lag_amber_ms
        )
        red = late or (stale and heard_ms is not None)
        if stale and (running or context.is_open("A-65", topic)):
            # A-65 tells of it, and one cause is one page, also when the campaign ends before the feed is back.
            judgement = Judgement.BETWEEN
        elif not _connected(context):
            judgement = Judgement.HELD
        elif stale or behind_s > amber_s:
            judgement = Judgement.FIRES
        else:
            judgement = Judgement.CLEAR if behind_s <= amber_s / 2 else Judgement.BETWEEN
        yield Reading(
            entity=Entity("topic", topic, topic),
            judgement=judgement,
            value=behind_s,
            threshold=amber_s,
            clearing=amber_s / 2,
            severity=Severity.PAGE if red else Severity.WARNING,
            route=AlertRoute.PAGE if red else AlertRoute.CHANNEL,
            figures={"heard_ms": heard_ms, "stale": int(stale)},
        )


def find_missing(context: RuleContext) -> Iterator[Reading]:
    """Yield, of each required topic while a campaign runs, whether it is silent for longer than it ever is (X-82)."""
    campaign = running_campaign(context.columns, context.shop, as_of_ms=context.now_ms)
    for topic in sorted(context.shop.required_topics):
        heard_ms = _heard_ms(context, topic)
        if not _connected(context):
            judgement = Judgement.HELD
        elif topic not in context.stale:
            judgement = Judgement.CLEAR
        elif not _is_silent(context, topic) or campaign is None:
            judgement = Judgement.BETWEEN
        else:
            judgement = Judgement.FIRES
        yield Reading(
            entity=Entity(
                "topic", topic, topic, campaign_id="" if campaign is None else str(campaign.campaign_id)
            ),
            judgement=judgement,
            value=None if heard_ms is None else (context.now_ms - heard_ms) / MINUTE_MS,
            threshold=context.settings.board.stale_after_ms / MINUTE_MS,
            clearing=context.settings.board.stale_after_ms / MINUTE_MS,
            figures={"heard_ms": heard_ms, "campaign": "" if campaign is None else clean_name(campaign.name)},
        )


def find_disconnected(context: RuleContext) -> Iterator[Reading]:
    """Yield whether the shop's own record says that its integration is connected."""
    profile = context.columns.profile(context.shop.shop_id)
    if profile is not None:
        yield Reading(
            entity=Entity("shop", context.shop.shop_id, context.shop.name or context.shop.shop_id),
            judgement=Judgement.CLEAR if profile.connected else Judgement.FIRES,
            value=float(profile.connected),
            threshold=0,
            clearing=1,
            figures={"since_ms": profile.occurred_at_ms},
        )


def _connected(context: RuleContext) -> bool:
    """Return False while the shop is known to be disconnected: A-66 says why nothing comes."""
    profile = context.columns.profile(context.shop.shop_id)
    return profile is None or profile.connected


def _is_silent(context: RuleContext, topic: str) -> bool:
    """Return whether a topic is stale (X-82); one that moves, or has records to be folded, is late and not silent."""
    return topic in context.stale and context.at_head and not context.columns.lags(topic)


def _told_for_ms(context: RuleContext, topic: str) -> int:
    """Return for how long A-64 has been open on a topic.

    A partition that was idle for hours and has one new record to fold seems to lie hours behind: how long it really
    takes shows only while it lasts.
    """
    alert = context.incident("A-64", topic)
    if alert is None or not context.is_open("A-64", topic):
        return 0
    return context.now_ms - alert.opened_at_ms


def _heard_ms(context: RuleContext, topic: str) -> int | None:
    """Return the newest sign of life of a topic, event or heartbeat; None when it never was a source."""
    if context.columns.source_since_ms(context.shop.shop_id, topic) is None:
        return None
    return context.columns.as_of_ms(context.shop.shop_id, (topic,), context.now_ms)


def _behind_ms(context: RuleContext, topic: str) -> int:
    columns, shop_id = context.columns, context.shop.shop_id
    known = columns.lags(topic) or columns.heartbeat_until_ms(shop_id, topic) is not None
    if context.at_head and not known:
        return 0
    return context.now_ms - columns.as_of_ms(shop_id, (topic,), context.now_ms)


def _lag_text(reading: Reading, context: RuleContext) -> str:
    heard_ms = reading.figures["heard_ms"]
    topic = reading.entity.name
    if heard_ms is None:
        return f"The feed of {topic} has never sent anything. Numbers that need it are missing."
    since = context.clock.time(int(heard_ms))
    if reading.figures["stale"]:
        return (
            f"Nothing on the feed of {topic} since {since}, neither a record nor a heartbeat."
            " Today is not real time."
        )
    return (
        f"Today lies {_duration(reading.value or 0)} behind the feed of {topic}: it is processed up to {since}."
        " Numbers are right as of then."
    )


def _missing_text(reading: Reading, context: RuleContext) -> str:
    heard_ms, topic = reading.figures["heard_ms"], reading.entity.name
    during = f"while {reading.figures['campaign'] or 'the campaign'} runs"
    if heard_ms is None:
        return f"The feed of {topic} has never sent anything, {during}. What needs it is unknown, not zero."
    silent = _duration((reading.value or 0) * 60)
    return (
        f"Nothing on the feed of {topic} since {context.clock.time(int(heard_ms))} ({silent}), {during}."
        " Rules that read it are held; what needs it is unknown, not zero."
    )


def _disconnected_text(reading: Reading, context: RuleContext) -> str:
    since = context.clock.time(int(reading.figures["since_ms"] or context.now_ms))
    return f"The integration of {reading.entity.name} is disconnected since {since}. Data is kept, nothing new comes."


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _lag_closing(alert: Alert) -> str:
    lasted = lasted_words(alert)
    if alert.resolution is Resolution.WORSE:
        return f"The feed of {alert.name} falls further behind: it is told anew."
    return f"Resolved after {lasted}: today is real time again for the feed of {alert.name}."


def _missing_closing(alert: Alert) -> str:
    return f"Resolved after {lasted_words(alert)}: the feed of {alert.name} sends again."


def _disconnected_closing(alert: Alert) -> str:
    return f"Resolved after {lasted_words(alert)}: the integration of {alert.name} is connected again."


RULES: Final = (
    Rule(
        number="A-64",
        key="today_stale",
        title="Today is not real time",
        entity="topic",
        reads=(),
        find=find_lagging,
        condition="a required topic is processed more than rules.lag_amber_ms behind its feed; pages beyond"
        " rules.lag_red_ms when it has lasted as long, or when it has become stale (X-82) and no campaign runs",
        minimum="",
        clears="less than half of rules.lag_amber_ms behind",
        unit="s",
        hold_ms=MINUTE_MS,
        clear_ms=2 * MINUTE_MS,
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        route=AlertRoute.CHANNEL,
        advice="look at the worker, the broker and the connector",
        text=_lag_text,
        closing=_lag_closing,
        runbook="feeds",
        settings=("rules.lag_amber_ms", "rules.lag_red_ms", "board.stale_after_ms"),
        sources=("S2-06", "S4-07"),
    ),
    Rule(
        number="A-65",
        key="feed_missing",
        title="Feed missing",
        entity="topic",
        reads=(),
        find=find_missing,
        condition="a campaign runs, and a required topic has had neither a record nor a heartbeat for the longer of"
        " board.stale_after_ms and its own 99.9 % gap at that hour (X-82)",
        minimum="",
        clears="a record or a heartbeat",
        unit="min",
        hold_ms=0,
        clear_ms=MINUTE_MS,
        severity=Severity.PAGE,
        owner=Owner.PLATFORM,
        route=AlertRoute.PAGE,
        advice="look at the connector and the source",
        text=_missing_text,
        closing=_missing_closing,
        runbook="feeds",
        settings=("board.stale_after_ms",),
        sources=("S2-06",),
    ),
    Rule(
        number="A-66",
        key="disconnected",
        title="Shop disconnected",
        entity="shop",
        reads=(),
        find=find_disconnected,
        condition="the shop's own record says that its integration is not connected",
        minimum="",
        clears="it says that it is",
        unit="",
        hold_ms=0,
        clear_ms=0,
        severity=Severity.WARNING,
        owner=Owner.PLATFORM,
        route=AlertRoute.CHANNEL,
        advice="connect the shop again in its seller centre",
        text=_disconnected_text,
        closing=_disconnected_closing,
        runbook="feeds",
        settings=(),
        sources=("S3-02",),
    ),
)
"""None reads a topic: what is stale is what they look for."""
