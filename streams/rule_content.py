"""Rules on content: open violations (A-04, A-05, A-06), and LIVEs of one account against each other (A-25, A-38).

Source: spec/alerts.md.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.alerts import clean_name
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_context import RuleContext

_VIOLATION_ADVICE: Final = "take down what breaks the rule, or appeal; tell the host"


# -- violations -------------------------------------------------------------------------------------------------------


def find_live_violations(context: RuleContext) -> Iterable[Reading]:
    """Look for LIVEs on air with an open violation (A-04); what is off air is A-05's."""
    running = _on_air(context)
    for content_id, found in _violations(context).items():
        if found[0]["content_kind"] != "live":
            continue
        reading = _open_violations("stream", content_id, found, running.get(content_id))
        if content_id not in running:
            yield Reading(entity=reading.entity, judgement=Judgement.ENDED, value=reading.value)
        else:
            yield reading


def find_content_violations(context: RuleContext) -> Iterable[Reading]:
    """Look for anything with an open violation (A-05), but for a LIVE on air, of which A-04 pages."""
    running = _on_air(context)
    titles = dict(_contents(context).select("content_id", "title").rows())
    for subject, found in _violations(context).items():
        reading = _open_violations("content", subject, found, {"title": titles.get(subject)})
        if subject in running and found[0]["content_kind"] == "live":
            yield Reading(entity=reading.entity, judgement=Judgement.BETWEEN, value=reading.value)
        else:
            yield reading


def _violations(context: RuleContext) -> dict[str, list[dict[str, Any]]]:
    """Return the violations of each content, the oldest first; those of a listing go by their own id."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = context.columns.content(context.shop.shop_id).violations().sort("opened_at_ms", "violation_id")
    for row in rows.filter(pl.col("opened_at_ms") <= context.now_ms).iter_rows(named=True):
        found[row["content_id"] or row["violation_id"]].append(row)
    return found


def _open_violations(
    kind: str, subject: str, found: list[dict[str, Any]], content: dict[str, Any] | None
) -> Reading:
    still_open = [row for row in found if row["open"]]
    title = (content or {}).get("title")
    first = still_open[0] if still_open else found[-1]
    return Reading(
        entity=Entity(kind, subject, clean_name(title or subject)),
        judgement=Judgement.FIRES if still_open else Judgement.CLEAR,
        value=len(still_open),
        threshold=1,
        clearing=0,
        figures={
            "violation_id": first["violation_id"],
            "content_kind": first["content_kind"],
            "severity": first["severity"],
            "policy": first["policy"],
            "opened_at_ms": first["opened_at_ms"],
        },
    )


def _contents(context: RuleContext) -> pl.DataFrame:
    return context.columns.content(context.shop.shop_id).contents()


def _on_air(context: RuleContext) -> dict[str, dict[str, Any]]:
    """Return the LIVEs that run now; one without an end is over after `rules.live_most_ms`."""
    now_ms = context.now_ms
    running = _contents(context).filter(
        (pl.col("kind") == "live")
        & (pl.col("new_at_ms") <= now_ms)
        & (pl.col("new_at_ms") > now_ms - context.settings.rules.live_most_ms)
        & (pl.col("ended_at_ms").is_null() | (pl.col("ended_at_ms") > now_ms))
        & (pl.col("removed_at_ms").is_null() | (pl.col("removed_at_ms") > now_ms))
    )
    return {row["content_id"]: row for row in running.iter_rows(named=True)}


def _violation_text(reading: Reading, context: RuleContext) -> str:
    figures, many = reading.figures, int(reading.value or 0)
    kind = {"live": "LIVE", "video": "Video", "listing": "Listing", "caption": "Caption"}[
        str(figures["content_kind"])
    ]
    policy = f", {clean_name(str(figures['policy']))}" if figures["policy"] else ""
    since = context.clock.time(int(figures["opened_at_ms"] or 0))
    on_air = " while it is on air" if reading.entity.kind == "stream" else ""
    count = "an open violation" if many == 1 else f"{many} open violations"
    return (
        f"{kind} '{reading.entity.name}' has {count}{on_air}: {figures['severity']}{policy}, since {since}."
    )


def find_flagged_rate(context: RuleContext) -> Iterable[Reading]:
    """Look at the part of the content shown in the last days that had a violation (A-06)."""
    for row in context.rows(Request(("flagged_content_rate",), window=context.settings.rules.band_window)):
        rate = row["flagged_content_rate"]
        judgement = Judgement.HELD if rate is None else Judgement.FIRES if rate > 0 else Judgement.CLEAR
        yield Reading(_shop(context), judgement, None if rate is None else rate * 100, 0, 0)


def _shop(context: RuleContext) -> Entity:
    return Entity("shop", context.shop.shop_id, context.shop.name or context.shop.shop_id)


# -- LIVEs of one account ---------------------------------------------------------------------------------------------


def find_smaller_streams(context: RuleContext) -> Iterable[Reading]:
    """Hold the newest finished LIVE of each account against the one before it (A-25)."""
    growth = {
        row["content"]: row["live_gmv_growth_pct"]
        for row in context.rows(Request(("live_gmv_growth_pct",), by=("content",), window="all"))
    }
    for account_id, lives in _finished_lives(context).items():
        newest = lives[-1]
        value = growth.get(newest["content_id"])
        if context.now_ms - newest["ended_at_ms"] > context.settings.rules.stream_told_ms:
            judgement = Judgement.ENDED
        elif value is None:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if value < 0 else Judgement.CLEAR
        yield Reading(
            entity=Entity("account", account_id, clean_name(account_id)),
            judgement=judgement,
            value=None if value is None else value * 100,
            threshold=0,
            clearing=0,
            figures={"live": newest["title"] or newest["content_id"]},
        )


def find_flat_engagement(context: RuleContext) -> Iterable[Reading]:
    """Look whether the engagement of an account's last LIVEs stays as it is (A-38)."""
    numbers = context.settings.rules
    figures = {
        row["content"]: row
        for row in context.rows(Request(("engagement_rate", "content_views"), by=("content",), window="all"))
    }
    for account_id, lives in _finished_lives(context).items():
        last = [figures.get(live["content_id"], {}) for live in lives[-numbers.flat_streams :]]
        rates = [row.get("engagement_rate") for row in last]
        views = min((row.get("content_views") or 0 for row in last), default=0)
        change = _largest_step(rates)
        if context.now_ms - lives[-1]["ended_at_ms"] > numbers.stream_told_ms:
            judgement = Judgement.ENDED
        elif len(lives) < numbers.flat_streams or change is None or views < numbers.rate_min_divisor:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if change <= numbers.flat_margin else Judgement.CLEAR
        yield Reading(
            entity=Entity("account", account_id, clean_name(account_id)),
            judgement=judgement,
            value=None if change is None else change * 100,
            threshold=numbers.flat_margin * 100,
            clearing=numbers.flat_margin * 100,
            volume=views,
            minimum=numbers.rate_min_divisor,
            figures={"lives": numbers.flat_streams, "rate_pct": (rates[-1] or 0) * 100 if rates else None},
        )


def _largest_step(rates: list[float | None]) -> float | None:
    """Return by how much the rate moved at most from one LIVE to the next, as a part of the former."""
    steps = []
    for before, after in itertools.pairwise(rates):
        if not before or after is None:
            return None
        steps.append(abs(after - before) / before)
    return max(steps, default=None)


def _finished_lives(context: RuleContext) -> dict[str, list[dict[str, Any]]]:
    """Return the LIVEs of each account that have ended, in order."""
    ended = _contents(context).filter(
        (pl.col("kind") == "live")
        & pl.col("new_at_ms").is_not_null()
        & (pl.col("ended_at_ms") <= context.now_ms)
    )
    lives: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in ended.sort("new_at_ms", "content_id").iter_rows(named=True):
        lives[row["account_id"]].append(row)
    return lives


# -- records ----------------------------------------------------------------------------------------------------------

LIVE_VIOLATION: Final = Rule(
    number="A-04",
    key="live_violation",
    title="LIVE on air has a violation",
    entity="stream",
    reads=("violations",),
    find=find_live_violations,
    condition="a violation of a LIVE that is on air is open; on air: begun, not ended, at most rules.live_most_ms old",
    minimum="",
    clears="every violation of it is resolved; when the LIVE ends it is closed, and A-05 goes on",
    unit="violations",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.PAGE,
    owner=Owner.CONTENT,
    route=AlertRoute.PAGE,
    advice=_VIOLATION_ADVICE,
    text=_violation_text,
    runbook="content-violations",
    settings=("rules.live_most_ms",),
    sources=("S4-03", "S4-42"),
)

CONTENT_VIOLATION: Final = Rule(
    number="A-05",
    key="content_violation",
    title="Content has a violation",
    entity="content",
    reads=("violations",),
    find=find_content_violations,
    condition="a violation of a LIVE off air, a video, listing or caption is open; the target is zero",
    minimum="",
    clears="every violation of it is resolved",
    unit="violations",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.WARNING,
    owner=Owner.CONTENT,
    route=AlertRoute.CHANNEL,
    advice="correct it or take it down, or appeal",
    text=_violation_text,
    runbook="content-violations",
    settings=("rules.live_most_ms",),
    sources=("S4-03", "S5-24", "S5-25"),
)

FLAGGED_RATE: Final = Rule(
    number="A-06",
    key="flagged_rate",
    title="Content with violations",
    entity="shop",
    reads=("violations", "content"),
    find=find_flagged_rate,
    condition="flagged_content_rate above 0 in rules.band_window",
    minimum="",
    clears="0",
    unit="%",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.PANEL,
    advice="audit listings and captions; read the guidelines again after each policy update",
    text=lambda reading, _: (
        f"{reading.value or 0:.1f}% of the content shown had a violation; the target is zero."
    ),
    runbook="",
    settings=("rules.band_window",),
    sources=("S5-48", "S5-25"),
)

STREAM_GROWTH: Final = Rule(
    number="A-25",
    key="stream_growth",
    title="LIVE earned less than the one before",
    entity="account",
    reads=("orders", "content"),
    find=find_smaller_streams,
    condition="live_gmv_growth_pct of the account's newest finished LIVE below 0",
    minimum="an earlier finished LIVE with sales",
    clears="0 or above; rules.stream_told_ms after its end it is closed",
    unit="%",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.PANEL,
    advice="compare host, hour and products of both LIVEs",
    text=lambda reading, _: (
        f"LIVE '{clean_name(str(reading.figures['live']))}' of {reading.entity.name} earned "
        f"{-(reading.value or 0):.0f}% less than the one before."
    ),
    runbook="",
    settings=("rules.stream_told_ms",),
    sources=("S5-13",),
)

ENGAGEMENT_FLAT: Final = Rule(
    number="A-38",
    key="engagement_flat",
    title="LIVE engagement stays flat",
    entity="account",
    reads=("engagement", "content"),
    find=find_flat_engagement,
    condition="engagement_rate of the account's last rules.flat_streams LIVEs moved by rules.flat_margin at most",
    minimum="rules.rate_min_divisor views of each of them",
    clears="it moved by more; rules.stream_told_ms after the last one's end it is closed",
    unit="%",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.PANEL,
    advice="try another hour or another host",
    text=lambda reading, _: (
        f"Engagement of the last {reading.figures['lives']} LIVEs of {reading.entity.name} stays at "
        f"{reading.figures['rate_pct']:.1f}%."
    ),
    runbook="",
    settings=("rules.flat_streams", "rules.flat_margin", "rules.rate_min_divisor", "rules.stream_told_ms"),
    sources=("S5-59",),
)

RULES: Final[tuple[Rule, ...]] = (
    LIVE_VIOLATION,
    CONTENT_VIOLATION,
    FLAGGED_RATE,
    STREAM_GROWTH,
    ENGAGEMENT_FLAT,
)
"""The rules on content."""
