"""A shop with two days of trade, as a board that a test turns the clock of."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from streams.alerts import Alert, AlertRoute, AlertState, Resolution
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign, Event, Product, Source
from streams.settings import BoardSettings, Settings, ShopSettings
from streams.state import Flush
from tests.unit.streams.boards import SHOP, flush_of, heartbeat, line, order, stock, traffic

T = TypeVar("T")

ZONE = "Europe/London"
MIDNIGHT_MS = 1_322_179_200_000
"""2011-11-25T00:00Z, a Friday; the zone's offset is 0 then."""
NOW_MS = MIDNIGHT_MS + 20 * HOUR_MS + 31 * MINUTE_MS + 12_000

HOSTILE = "<img src=x onerror=alert(1)> \u202ebunting"
NAMES = {
    "A": "Glass tea-light holder, set of six",
    "B": HOSTILE,
    "C": "Linen dress",
    "D": "Paper chain kit 50's Christmas",
    "E": "Regency cakestand 3 tier",
    "F": "Jumbo bag red retrospot",
}
SOURCES = (
    Source("seller", "live", "live_room", False, content_id="live-1"),
    Source("seller", "video", "feed", False, content_id="video-1"),
    Source("affiliate", "live", "live_room", False, content_id="live-2", creator_id="mia"),
    Source("affiliate", "video", "feed", False, content_id="video-2", creator_id="mia"),
    Source("seller", "product_card", "shop_tab", False),
    Source("seller", "product_card", "search", False),
)


@dataclass
class FixedBoard:
    """A board that holds what a test put into it, at a time that the test sets."""

    settings: Settings
    columns: Columns
    replay_id: str = ""
    badge: str = ""
    at_ms: int = NOW_MS
    waiting: str | None = None
    told: list[Alert] = field(default_factory=list)
    behind: int | None = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    turns: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def now_ms(self) -> int:
        return self.at_ms

    def ready(self) -> str | None:
        return self.waiting

    def alerts(self) -> Sequence[Alert]:
        return self.told

    def lag(self) -> int | None:
        return self.behind

    async def in_turn(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.turns, work)

    async def changed(self, since: int) -> int:
        await self.moved.wait()
        self.moved.clear()
        return max(since + 1, self.columns.version)

    def move(self) -> None:
        """Change the columns, as a flush would."""
        self.columns.version += 1
        self.moved.set()


def settings_of(**board: Any) -> Settings:
    """Return settings of the shop, with other values of the board's section."""
    shop = ShopSettings(
        SHOP, timezone=ZONE, currency="GBP", name="Harbour & Pine", required_topics=("orders",)
    )
    return Settings(shops={SHOP: shop}, board=BoardSettings(**board))


def empty_board(**board: Any) -> FixedBoard:
    settings = settings_of(**board)
    return FixedBoard(settings, Columns(settings))


def orders_only(day_ms: int = MIDNIGHT_MS, until_ms: int = NOW_MS) -> list[Event]:
    """Return one order every four minutes, GBP 12.50 and 2.00 shipping, of customers c0 to c19 in turn."""
    times = range(day_ms + 2 * MINUTE_MS, until_ms, 4 * MINUTE_MS)
    return [
        order(
            f"{at_ms}",
            at_ms,
            [line("1", "A1", 1250, shipping=200, source=SOURCES[number % len(SOURCES)])],
            customer=f"c{number % 20}",
        )
        for number, at_ms in enumerate(times)
    ]


def orders_board(**board: Any) -> FixedBoard:
    """Return a board with orders of today alone: no traffic, no stock, no campaign, no day before."""
    made = empty_board(**board)
    made.columns.apply(flush_of(orders_only(), zone=ZONE))
    return made


def _bell(hour: float) -> float:
    return 0.3 + 0.9 * math.exp(-(((hour - 11) / 3.2) ** 2)) + 1.5 * math.exp(-(((hour - 20) / 2.2) ** 2))


def trade(day_ms: int, until_ms: int, *, factor: float, prefix: str) -> list[Event]:
    """Return a day of trade with the shape of a day: orders, traffic and stock of six products."""
    events: list[Event] = []
    owed, number = 0.0, 0
    for minute_ms in range(day_ms, until_ms, MINUTE_MS):
        hour = (minute_ms - day_ms) / HOUR_MS
        owed += _bell(hour) * factor * (1.9 if prefix == "today" and 19 <= hour < 20 else 1.0)
        product = "ABCDEF"[number * 7 % 6]
        source = SOURCES[number * 5 % len(SOURCES)]
        for kind, times in (
            ("product_impression", 9),
            ("product_click", 5),
            ("add_to_cart", 2),
            ("product_page_view", 1),
        ):
            until = times if kind != "product_page_view" or minute_ms < NOW_MS - 11 * MINUTE_MS else 0
            for second in range(until):
                at_ms = min(minute_ms + 1_000 * second, until_ms - 1)
                user = f"u{(number + 17 * second) % 211}"
                events.append(traffic(kind, at_ms, user, product, source))
        while owed >= 1:
            owed -= 1
            number += 1
            product = "ABCDEF"[number * number % 6]
            goods = 1250 + 310 * (number % 9)
            paid_ms = min(minute_ms + 1_000 * (number % 50), until_ms - 1)
            sold_by = SOURCES[(number % 11 + number % 3) % len(SOURCES)]
            events.append(
                order(
                    f"{prefix}-{number}",
                    paid_ms,
                    [
                        line(
                            "1",
                            f"{product}1",
                            goods,
                            shipping=295,
                            source=sold_by,
                        )
                    ],
                    customer=f"c{number % 173}",
                )
            )
    return events


@functools.cache
def _full_flush() -> Flush:
    events = trade(MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS, factor=0.9, prefix="before")
    events += trade(MIDNIGHT_MS, NOW_MS, factor=1.1, prefix="today")
    for number, (product, name) in enumerate(NAMES.items()):
        events.append(
            Product(
                event_id=f"product-{product}",
                event_type="product",
                shop_id=SHOP,
                occurred_at_ms=MIDNIGHT_MS,
                product_id=product,
                name=name,
                category="home",
                sku_ids=[f"{product}1"],
                price_minor=1250,
                version=1,
            )
        )
        events.append(stock(f"{product}1", 25 * number, NOW_MS - (3 + number) * MINUTE_MS))
    events.append(
        Campaign(
            event_id="campaign-1",
            event_type="campaign",
            shop_id=SHOP,
            occurred_at_ms=MIDNIGHT_MS,
            campaign_id="bf",
            name="Black Friday mega campaign",
            starts_at_ms=MIDNIGHT_MS,
            ends_at_ms=MIDNIGHT_MS + DAY_MS,
            joined_at_ms=MIDNIGHT_MS,
            version=1,
            product_ids=list(NAMES),
            target_metric="gmv",
            target_value=30_000,
        )
    )
    events.append(heartbeat(["orders", "impressions", "stock"], NOW_MS - 2_000, "storefront"))
    events.append(heartbeat(["page_views"], NOW_MS - 11 * MINUTE_MS, "tracker"))
    return flush_of(events, zone=ZONE)


def full_board(**board: Any) -> FixedBoard:
    """Return a board with everything: a goal, yesterday, traffic, stock, a lost feed, pages."""
    made = empty_board(**board)
    made.columns.apply(_full_flush())
    made.badge = "synthetic"
    made.told = [ran_out(), opened()]
    return made


def opened() -> Alert:
    """Return a page that is open."""
    return Alert(
        alert_id="s1/bf/A-01/C1/2011-11-25",
        rule="A-01",
        shop_id=SHOP,
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        opened_at_ms=NOW_MS - 9 * MINUTE_MS,
        updated_at_ms=NOW_MS - 9 * MINUTE_MS,
        timezone=ZONE,
        currency="GBP",
        sku_id="C1",
        name="Linen dress",
        predicted_ms=NOW_MS + 40 * MINUTE_MS,
        predicted_low_ms=NOW_MS + 25 * MINUTE_MS,
        predicted_high_ms=NOW_MS + 66 * MINUTE_MS,
        gmv_at_risk_minor=41_000,
        message="Linen dress runs out ~21:11 (20:56-21:37). 50 left, 52/h. At risk £410 by midnight. Do: add stock.",
    )


def ran_out() -> Alert:
    """Return a page whose forecast came true."""
    return Alert(
        alert_id="s1/bf/A-01/A1/2011-11-25",
        rule="A-01",
        shop_id=SHOP,
        state=AlertState.RESOLVED,
        route=AlertRoute.PAGE,
        opened_at_ms=NOW_MS - 70 * MINUTE_MS,
        updated_at_ms=NOW_MS - MINUTE_MS,
        resolved_at_ms=NOW_MS - MINUTE_MS,
        resolution=Resolution.RESTOCKED,
        timezone=ZONE,
        currency="GBP",
        sku_id="A1",
        name="Glass tea-light holder, set of six",
        predicted_ms=NOW_MS - 8 * MINUTE_MS,
        predicted_low_ms=NOW_MS - 20 * MINUTE_MS,
        predicted_high_ms=NOW_MS + 9 * MINUTE_MS,
        actual_ms=NOW_MS - 12 * MINUTE_MS,
        message="Resolved: Glass tea-light holder, set of six was restocked. 90 left. Ran out 20:19. Predicted ~20:23.",
    )
