"""One made-up day of one shop, as a recording with the truth about it in its manifest.

Everything follows from seed, day, scale and scenario; nothing from a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from replay.generator.ads import ad_events, benchmark_events, checkout_events
from replay.generator.assortment import CURRENCY, PRODUCTS, SHOP_ID, SHOP_NAME, SKUS, TIMEZONE
from replay.generator.content import FEEDS as CONTENT_FEEDS
from replay.generator.content import VIOLATED, content_events, violation_span_ms
from replay.generator.facts import (
    gmv_minor,
    heartbeats,
    order_events,
    reference_events,
    return_events,
    stock_events,
    user_key,
)
from replay.generator.lines import Gap, Network, fact_frames, traffic_frame, traffic_topic, write_lines
from replay.generator.orders import Sales, make_sales
from replay.generator.parameters import Knobs, Parameter, Scenario, parameters_of
from replay.generator.traffic import Day, Traffic, bot_people, flash_span_ms, make_traffic
from replay.manifest import Manifest
from replay.writing import Compression, RecordingWriter
from streams.days import BusinessCalendar, day_label, parse_day
from streams.errors import RecordingError
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

DEFAULT_DAY: Final = "2026-11-27"
DEFAULT_SEED: Final = 7
_REQUIRED: Final = ("orders", "impressions", "clicks")
"""Topics whose silence is an alarm in this shop."""

_LEVEL: Final = 1
"""Generated recordings are made again rather than kept: fast compression."""


def generate(
    out: Path,
    *,
    seed: int = DEFAULT_SEED,
    day: str = DEFAULT_DAY,
    scale: float = 1.0,
    scenario: Scenario = "campaign_day",
    compression: Compression = "zst",
) -> Manifest:
    """Generate one day as a recording.

    Args:
        out: folder of the recording, made by this.
        seed: the same seed, day, scale and scenario give the same bytes.
        day: date in the shop's zone (America/Los_Angeles).
        scale: of traffic and people; 1 is about 300,000 records on a campaign day, a fifth of that on an ordinary one.
        scenario: `campaign_day` has a goal, a flash sale, a stock-out, a bot burst and a feed that dies and comes back;
            `ordinary_day` has none of them and serves as yesterday or as the reference.
        compression: of the parts.

    Returns:
        The manifest, with `synthetic`, `parameters` (value, measured on which set or assumed) and `truth`.

    Raises:
        RecordingError: day or scale is out of bounds, or the folder holds a recording.
    """
    span = _day(day)
    if not 0.001 <= scale <= 100:
        what = f"scale {scale} is not between 0.001 and 100."
        raise RecordingError(what)
    parameters = parameters_of(scenario)
    knobs = Knobs(parameters)
    # One stream of randomness per concern: a change of one leaves the others as they were.
    roots = [seed, parse_day(day), ("campaign_day", "ordinary_day").index(scenario)]
    draws = [np.random.default_rng([*roots, concern]) for concern in range(8)]
    traffic = make_traffic(draws[0], knobs, span, scale)
    sales = make_sales(draws[1], knobs, span, traffic.buyers)
    goal = _goal_minor(draws[2], knobs, sales)
    network = Network(draws[3], knobs, span, _gap(knobs, span))
    carried = _carried(draws[4], knobs, span, traffic, sales, goal, network)
    # What came later than the rest has a network of its own, so that the rest is carried as it ever was.
    second = Network(draws[7], knobs, span)
    carried += _content_carried(draws[5], draws[6], knobs, span, traffic, sales, second)
    network.repeated += second.repeated
    manifest = Manifest(
        name=f"{SHOP_NAME}, {scenario.replace('_', ' ')} {day} (synthetic)",
        shops={SHOP_ID: ShopSettings(SHOP_ID, TIMEZONE, CURRENCY, name=SHOP_NAME, required_topics=_REQUIRED)},
        source="campaign war room, replay.generator",
        licence="Apache-2.0",
        other={
            "synthetic": True,
            "scenario": scenario,
            "day": day,
            "seed": seed,
            "scale": scale,
            "parameters": _documents(parameters),
            "truth": _truth(knobs, span, sales, network, goal),
        },
    )
    with RecordingWriter(out, manifest, compression=compression, level=_LEVEL) as writer:
        write_lines(writer, carried)
    return writer.manifest


def _day(text: str) -> Day:
    try:
        day = parse_day(text)
    except ValueError:
        what = f"{text!r} is no date."
        raise RecordingError(what, mend="Write it as 2026-11-27.") from None
    calendar = BusinessCalendar(TIMEZONE)
    return Day(calendar.day_start_ms(day), calendar.day_start_ms(day + 1), day_label(day))


def _goal_minor(rng: np.random.Generator, knobs: Knobs, sales: Sales) -> int | None:
    """Return the day's goal, rounded to 500 in major units; None on a day without one."""
    if "goal_factor" not in knobs:
        return None
    low, high = knobs.row("goal_factor")
    goal = gmv_minor(knobs, sales.orders) * float(rng.uniform(low, high))
    return max(1, round(goal / 50_000)) * 50_000


def _gap(knobs: Knobs, day: Day) -> Gap | None:
    if "feed_gap_hours" not in knobs:
        return None
    off, on = knobs.row("feed_gap_hours")
    return Gap("cm.clicks", day.at(off), day.at(on))


def _carried(
    rng: np.random.Generator,
    knobs: Knobs,
    day: Day,
    traffic: Traffic,
    sales: Sales,
    goal: int | None,
    network: Network,
) -> list[pl.DataFrame]:
    lines = sum(len(order.lines) for order in sales.orders)
    silent = {"click-tracker": (network.gap.off_ms, network.gap.on_ms)} if network.gap is not None else {}
    facts = fact_frames(
        [
            *reference_events(day, goal),
            *stock_events(sales),
            *order_events(rng, knobs, day, sales.orders),
            *return_events(rng, knobs, day, lines),
            *heartbeats(day, int(knobs.number("heartbeat_every_ms")), silent),
        ]
    )
    carried = [network.carry(frame, topic, may_be_late=False) for topic, frame in facts.items()]
    kinds = {
        "product_impression": traffic.impressions,
        "product_click": traffic.clicks,
        "product_page_view": traffic.page_views,
        "add_to_cart": traffic.carts,
    }
    for event_type, touches in kinds.items():
        frame = traffic_frame(rng, day, event_type, touches)
        carried.append(network.carry(frame, traffic_topic(event_type), may_be_late=True))
    return carried


def _content_carried(
    of_content: np.random.Generator,
    of_ads: np.random.Generator,
    knobs: Knobs,
    day: Day,
    traffic: Traffic,
    sales: Sales,
    network: Network,
) -> list[pl.DataFrame]:
    facts = fact_frames(
        [
            *content_events(of_content, knobs, day, traffic),
            *ad_events(of_ads, knobs, day, traffic, sales.orders),
            *checkout_events(of_ads, knobs, day, traffic, sales.orders),
            *benchmark_events(knobs, day),
            *heartbeats(day, int(knobs.number("heartbeat_every_ms")), {}, CONTENT_FEEDS),
        ]
    )
    return [network.carry(frame, topic, may_be_late=False) for topic, frame in facts.items()]


def _documents(parameters: dict[str, Parameter]) -> dict[str, object]:
    return {name: parameter.document() for name, parameter in parameters.items()}


def _truth(knobs: Knobs, day: Day, sales: Sales, network: Network, goal: int | None) -> dict[str, object]:
    """Return what really happened, for tests and for the screen to be held against."""
    products = {sku: PRODUCTS[product].product_id for product, sku in SKUS}
    truth: dict[str, object] = {
        "orders": len(sales.orders),
        "gmv_minor": gmv_minor(knobs, sales.orders),
        "goal_minor": goal,
        "late_records": network.late,
        "repeated_records": network.repeated,
        "stockouts": [
            {"sku_id": sku, "product_id": products[sku], "at_ms": at_ms} for sku, at_ms in sales.stock_outs
        ],
        "restocks": [{"sku_id": sku, "at_ms": at_ms} for sku, at_ms in sales.restocks],
    }
    if network.gap is not None:
        gap = network.gap
        truth["feed_gap"] = {
            "topic": gap.topic,
            "source": "click-tracker",
            "from_ms": gap.off_ms,
            "to_ms": gap.on_ms,
            "withheld": network.withheld,
        }
    if "violation_hours" in knobs:
        opened, resolved = violation_span_ms(knobs, day)
        truth["violation"] = {"content_id": VIOLATED, "opened_at_ms": opened, "resolved_at_ms": resolved}
    if "flash_sale_hours" in knobs:
        start, end = flash_span_ms(knobs, day)
        truth["flash_sale"] = {
            "from_ms": start,
            "to_ms": end,
            "product_ids": [product.product_id for product in PRODUCTS if product.flash],
        }
        bots = day.at(knobs.number("bot_hour"))
        truth["bot_burst"] = {
            "from_ms": bots,
            "to_ms": bots + int(knobs.number("bot_minutes") * 60_000),
            "user_keys": [user_key(person) for person in bot_people(knobs)],
        }
    return truth
