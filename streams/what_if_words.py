"""A scenario in words, as the command line and the API take it, and what it changes as a document and as text."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from streams.days import BusinessCalendar
from streams.errors import QueryError
from streams.money import major
from streams.what_if_world import FlashSale, Range, Restock, Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import ShopSettings
    from streams.what_if import GoalOutlook, WhatIf
    from streams.what_if_world import SkuOutlook

Document = dict[str, Any]

STOCK_FORM: Final = "SKU=300@22:00"
SALE_FORM: Final = "PRODUCT=2.0@21:00..22:00"
MOST_CHANGES: Final = 20
MOST_UNITS: Final = 10_000_000
MOST_GOAL: Final = 1e15
FACTORS: Final = (0.1, 100.0)
_SHOWN: Final = 10


def parse_scenario(
    add_stock: Sequence[str],
    flash_sales: Sequence[str],
    goal: str | float | None,
    *,
    timezone: str,
    now_ms: int,
) -> Scenario:
    """Return the scenario that the words mean.

    Args:
        add_stock: each `SKU=300@22:00`; without a time it is there at once.
        flash_sales: each `PRODUCT=2.0@21:00..22:00`, of a SKU, a product or `*` for everything.
        goal: in major units for gmv, else a count.
        timezone: of the shop; a time is one of today's, or of another day as `2026-11-28T10:00`.
        now_ms: the instant whose day is today.

    Raises:
        QueryError: `bad_scenario`, with the form to write.
    """
    if not (add_stock or flash_sales or goal is not None):
        what = "Nothing would be otherwise."
        raise QueryError(what, reason="bad_scenario", mend="Name stock to add, a flash sale or another goal.")
    if len(add_stock) + len(flash_sales) > MOST_CHANGES:
        what = f"A scenario has at most {MOST_CHANGES} changes."
        raise QueryError(what, reason="bad_scenario", mend="Ask in parts.")
    return Scenario(
        tuple(_restock(text, timezone, now_ms) for text in add_stock),
        tuple(_flash_sale(text, timezone, now_ms) for text in flash_sales),
        None if goal is None else _number(str(goal), "goal", 0, MOST_GOAL, "50000"),
    )


def what_if_document(answer: WhatIf, shop: ShopSettings) -> Document:
    """Return an answer as JSON: money in major units, times in ms, a range as mid, low, high."""

    def outlook(one: SkuOutlook) -> Document:
        found = asdict(one)
        found["lost_units"] = _range(one.lost_units)
        found.pop("gmv_at_risk_minor")
        return found | {"gmv_at_risk": _money(one.gmv_at_risk_minor, shop)}

    def goal(one: GoalOutlook, metric: str) -> Document:
        scale = (lambda value: major(value, shop.currency)) if metric == "gmv" else float
        return {
            "target": None if one.target is None else scale(one.target),
            "value": scale(one.value),
            "share": None if one.progress_pct is None else one.progress_pct / 100,
            "pace": None if one.pace_pct is None else one.pace_pct / 100,
            "needed_per_hour": None if one.needed_per_h is None else scale(one.needed_per_h),
            "end": None if one.end is None else _range(Range(*(scale(value) for value in one.end))),
        }

    return {
        "shop": answer.shop_id,
        "currency": shop.currency,
        "timezone": shop.timezone,
        "as_of_ms": answer.as_of_ms,
        "skus": [
            {
                "sku_id": row.sku_id,
                "product_id": row.product_id,
                "name": row.name,
                "on_hand": row.on_hand,
                "unknown_because": row.unknown_because or None,
                "before": outlook(row.before),
                "after": outlook(row.after),
            }
            for row in answer.skus
        ],
        "unknown_skus": list(answer.unknown_skus),
        "gmv_at_risk": {
            "before": _money(answer.gmv_at_risk_before, shop),
            "after": _money(answer.gmv_at_risk_after, shop),
        },
        "goal": None
        if answer.goal is None
        else {
            "campaign_id": answer.goal.campaign_id,
            "metric": answer.goal.metric,
            "basis": answer.goal.basis,
            "before": goal(answer.goal.before, answer.goal.metric),
            "after": goal(answer.goal.after, answer.goal.metric),
        },
    }


def what_if_text(document: Document) -> str:
    """Return a document of `what_if_document` as lines for a terminal."""
    zone, currency = ZoneInfo(document["timezone"]), document["currency"]
    lines = [f"As of {_clock(document['as_of_ms'], zone)}. Nothing is stored."]
    for row in document["skus"][:_SHOWN]:
        lines.append(f"{row['name']} ({row['sku_id']})")
        if row["unknown_because"]:
            lines.append(f"  stock unknown: {row['unknown_because']}")
            continue
        lines += [f"  {when:<6} {_sku_text(row[when], zone, currency)}" for when in ("before", "after")]
    if more := len(document["skus"]) - _SHOWN:
        lines += [f"and {more} more SKUs"] if more > 0 else []
    lines += [f"{name}: no such SKU or product" for name in document["unknown_skus"]]
    risk = document["gmv_at_risk"]
    lines.append(f"At risk: {_amounts(risk['before'], currency)} -> {_amounts(risk['after'], currency)}")
    goal = document["goal"]
    if goal is not None:
        unit = currency if goal["metric"] == "gmv" else goal["metric"].removesuffix("_sold")
        lines.append(f"Goal of {goal['campaign_id']} ({goal['basis']})")
        lines += [f"  {when:<6} {_goal_text(goal[when], unit)}" for when in ("before", "after")]
    return "\n".join(lines)


def _restock(text: str, timezone: str, now_ms: int) -> Restock:
    rest, _, time = text.rpartition("@") if "@" in text.rpartition("=")[2] else (text, "", "")
    sku, equals, units = rest.rpartition("=")
    if not (sku and equals):
        raise _unread(text, "add-stock", STOCK_FORM)
    number = _number(units, "add-stock", 1, MOST_UNITS, STOCK_FORM)
    if number != int(number):
        raise _unread(text, "add-stock", STOCK_FORM)
    return Restock(sku, int(number), _instant(time, timezone, now_ms, STOCK_FORM) if time else now_ms)


def _flash_sale(text: str, timezone: str, now_ms: int) -> FlashSale:
    rest, at, span = text.rpartition("@")
    subject, equals, factor = rest.rpartition("=")
    start, dots, end = span.partition("..")
    if not (at and equals and dots and subject):
        raise _unread(text, "flash-sale", SALE_FORM)
    from_ms, to_ms = (_instant(each, timezone, now_ms, SALE_FORM) for each in (start, end))
    if to_ms <= from_ms:
        what = f"The flash sale {text!r} ends before it begins."
        raise QueryError(what, reason="bad_scenario", mend="Write a later end, with its date after midnight.")
    return FlashSale(subject, _number(factor, "flash-sale", *FACTORS, SALE_FORM), from_ms, to_ms)


def _instant(text: str, timezone: str, now_ms: int, form: str) -> int:
    try:
        if "T" in text:
            local = dt.datetime.fromisoformat(text)
        else:
            today = dt.date.fromordinal(BusinessCalendar(timezone).day_of(now_ms))
            # 24:00 is the end of today, which no clock of the library knows.
            day = today + dt.timedelta(days=1) if text == "24:00" else today
            local = dt.datetime.combine(day, dt.time.fromisoformat("00:00" if text == "24:00" else text))
        aware = local if local.tzinfo else local.replace(tzinfo=ZoneInfo(timezone))
        return int(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _unread(text, "time", form) from None


def _number(text: str, what: str, low: float, high: float, form: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _unread(text, what, form) from None
    if not low <= number <= high:
        said = f"{what}: {text} is out of bounds."
        raise QueryError(said, reason="bad_scenario", mend=f"It must be from {low:g} to {high:g}.")
    return number


def _unread(text: str, what: str, form: str) -> QueryError:
    return QueryError(f"{what}: {text[:100]!r} cannot be read.", reason="bad_scenario", mend=f"Write {form}.")


def _range(values: Range) -> Document:
    return {"mid": values.mid, "low": values.low, "high": values.high}


def _money(values: Range, shop: ShopSettings) -> Document:
    return _range(Range(*(major(value, shop.currency) for value in values)))


def _sku_text(one: Document, zone: ZoneInfo, currency: str) -> str:
    out = "does not run out" if one["out_ms"] is None else f"runs out {_span(one, 'out', zone)}"
    if one["again_ms"] is not None:
        out += f", again {_span(one, 'again', zone)}"
    return f"{out}; at risk {_amounts(one['gmv_at_risk'], currency)}"


def _span(one: Document, name: str, zone: ZoneInfo) -> str:
    ends = [one[f"{name}_low_ms"], one[f"{name}_high_ms"]]
    low, high = ("later" if each is None else _clock(each, zone) for each in ends)
    return f"{_clock(one[f'{name}_ms'], zone)} ({low} to {high})"


def _goal_text(one: Document, unit: str) -> str:
    parts = [f"goal {one['target']:,.0f} {unit}" if one["target"] is not None else "no goal"]
    if one["share"] is not None:
        parts.append(f"reached {one['share']:.1%}")
    if one["pace"] is not None:
        parts.append(f"pace {one['pace']:.0%}")
    if one["needed_per_hour"] is not None:
        parts.append(f"needs {one['needed_per_hour']:,.0f} an hour")
    if one["end"] is not None:
        end = one["end"]
        parts.append(f"ends at {end['mid']:,.0f} ({end['low']:,.0f} to {end['high']:,.0f}) {unit}")
    return ", ".join(parts)


def _amounts(values: Document, currency: str) -> str:
    return f"{values['mid']:,.0f} ({values['low']:,.0f} to {values['high']:,.0f}) {currency}"


def _clock(at_ms: int, zone: ZoneInfo) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, zone):%d %b %H:%M}"
