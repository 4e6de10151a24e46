"""Facts of a month of the reference shop, made as the fold keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from benchmarks.load import DAY, REFERENCE_SHOP, SHOP, USERS, Assortment, Load, user_key
from benchmarks.shop_day import SUB_CAMPAIGNS, TERRITORIES
from streams.days import DAY_MS, HOUR_MS, BusinessCalendar, day_label
from streams.events import (
    Account,
    AdMetric,
    Benchmark,
    Campaign,
    CheckoutLine,
    CheckoutStarted,
    Content,
    ContentEngagement,
    Follower,
    Heartbeat,
    HistoryTotal,
    OrderLine,
    OrderPaid,
    OrderStatusChanged,
    Product,
    Refund,
    Shop,
    Source,
    StockChanged,
    SubCampaign,
    Violation,
)
from streams.events_ads import AdAccountSelected
from streams.events_content import SKETCH_LG_K
from streams.events_totals import SliceName
from streams.topics import SOURCE_TOPICS

if TYPE_CHECKING:
    from benchmarks.month_cells import Images
    from streams.envelope import Fact

CAMPAIGN_SHARE: Final = 4
"""A campaign day sells and is seen as much as so many other days."""

NOW_HOUR: Final = 20
"""Of the last day, by the shop's clock: when it is asked."""

BEATS: Final = ("storefront", "ads", "creators")

_LINES_OF_AN_ORDER: Final = 1.5
_STATUS_SHARE, _CANCELLED_SHARE, _REFUND_SHARE = 0.9, 0.02, 0.03
_AGES: Final = ("18-24", "25-34", "35-44", "45+")
_SEED: Final = 30
_BENCHMARKED: Final = ("gmv", "orders", "ctr", "ctor", "aov_revenue")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the shop's month is.

    Attributes:
        days: with records; the last one is a campaign day that is not over.
        lines: order lines of all days.
        events: traffic events of an ordinary day.
        shop: products, contents and creators.
    """

    days: int = 30
    lines: int = 1_500_000
    events: int = 500_000
    shop: Assortment = REFERENCE_SHOP


class MonthFacts:
    """Every fact of the month, and further sales.

    Args:
        size: of the shop.
        blocks: every attribution block, with its sub-campaign; empty for none.
        products: ids.
        images: crowds by their size.

    Attributes:
        begin_ms: the instant of the last record.
        lines: order lines handed out so far.
    """

    def __init__(
        self, size: Size, blocks: Sequence[dict[str, Any]], products: Sequence[str], images: Images
    ) -> None:
        self.size = size
        self.lines = 0
        self._calendar = BusinessCalendar(SHOP.timezone)
        self._first_day = DAY - size.days + 1
        self.begin_ms = self._calendar.day_start_ms(DAY) + NOW_HOUR * HOUR_MS
        self._sources = [msgspec.convert(block, Source) if block else None for block in blocks]
        self._contents = [block for block in blocks if "content_id" in block]
        self._products = products
        self._images = images
        self._orders = count(1)

    def all(self) -> Iterator[Fact]:
        """Yield the whole month."""
        yield from self._cards()
        yield from self._past()
        share = self.size.lines / (self.size.days - 1 + CAMPAIGN_SHARE) / _LINES_OF_AN_ORDER
        for day in range(self._first_day, DAY + 1):
            span = self.span(day)
            orders = round(share * (CAMPAIGN_SHARE if day == DAY else 1))
            yield from self.sales(orders, span, settled=day < DAY - 1)
            rng = np.random.default_rng((_SEED, day, 1))
            for at_ms in range(span[0], span[1], 4 * HOUR_MS):
                yield from self.stock_levels(rng, len(self._products), at_ms)
            for hour, at_ms in enumerate(range(span[0], span[1], HOUR_MS)):
                yield from self.engagement(rng, self.size.shop.contents // 4, at_ms)
                yield from self._ads(rng, at_ms)
                if hour % 6 == 0:
                    yield from self._followers(rng, at_ms)
            yield from self._checkouts(rng, orders // 10, span)

    def span(self, day: int) -> tuple[int, int]:
        """Return begin and end of a day in ms, no later than the last record."""
        begin_ms = self._calendar.day_start_ms(day)
        return begin_ms, min(self._calendar.day_start_ms(day + 1), self.begin_ms)

    def _cards(self) -> Iterator[Fact]:
        """Yield the shop, its campaign, products, contents, accounts and their violations."""
        begin_ms = self._calendar.day_start_ms(self._first_day)
        yield _fact(
            Shop, begin_ms, timezone=SHOP.timezone, version=1, industry="fashion_beauty", business_size="mid",
            category="clothes", gmv_tier="1M",
        )  # fmt: skip
        for name in BEATS:
            yield self.beat(name, self.begin_ms)
        yield _fact(
            Campaign,
            begin_ms,
            campaign_id="bf26",
            name="Black Friday",
            starts_at_ms=self._calendar.day_start_ms(DAY - 2),
            ends_at_ms=self._calendar.day_start_ms(DAY + 2),
            joined_at_ms=begin_ms,
            version=1,
            product_ids=self._products[: len(self._products) // 2],
            sub_campaigns=[
                SubCampaign(f"sc_{n:02d}", f"Part {n}", joined=True) for n in range(SUB_CAMPAIGNS)
            ],
            target_metric="gmv",
            target_value=500_000_000.0,
        )
        for number, product in enumerate(self._products):
            yield _fact(
                Product,
                begin_ms,
                product_id=product,
                name=f"Product {number}",
                category="clothes",
                sku_ids=[product + "-1"],
                price_minor=499 + number % 97 * 50,
                version=1,
                rating=4.5,
                opportunity_matched=number % 3 == 0,
            )
        yield from self._posts(begin_ms)
        yield _fact(
            AdAccountSelected, begin_ms, primary_ad_account_id="ad_1", selected_at_ms=begin_ms, version=1
        )
        for metric in _BENCHMARKED:
            for group in ("own_tier", "higher_tier"):
                yield _fact(
                    Benchmark, begin_ms, category="clothes", gmv_tier="1M", group=group, metric=metric, period="day",
                    benchmark_day=day_label(DAY - 1), value=0.05, published_at_ms=begin_ms,
                )  # fmt: skip

    def _posts(self, begin_ms: int) -> Iterator[Fact]:
        for number, block in enumerate(self._contents):
            live = block["format"] == "live"
            at_ms = begin_ms + number * (self.begin_ms - begin_ms) // len(self._contents)
            post = {
                "content_id": block["content_id"],
                "kind": "live" if live else "video",
                "account_id": block["account_id"],
                "account_kind": "affiliate" if "creator_id" in block else "marketing",
                "product_ids": self._products[number % 50 : number % 50 + 3],
                "key_session": live and number % 5 == 0,
                "creator_id": block.get("creator_id"),
                "title": f"Content {number}",
                "variant": "AB"[number % 2] if number % 4 < 2 else None,
                "campaign_id": "bf26",
                "sub_campaign_id": block["sub_campaign_id"],
            }
            state = "live_started" if live else "published"
            yield _fact(Content, at_ms, **post, state=state, started_at_ms=at_ms if live else None)
            if live and at_ms + 3 * HOUR_MS < self.begin_ms:
                end_ms = at_ms + 3 * HOUR_MS
                yield _fact(
                    Content, end_ms, **post, state="live_ended", started_at_ms=at_ms, ended_at_ms=end_ms
                )
            if number % 10 == 0:
                yield _fact(
                    Violation,
                    at_ms,
                    violation_id=f"v_{number}",
                    content_kind=post["kind"],
                    account_id=block["account_id"],
                    state="opened",
                    severity="warning",
                    content_id=block["content_id"],
                )
        for creator in range(self.size.shop.creators):
            yield _fact(
                Account,
                begin_ms,
                account_id=f"acc_{creator + 100:06d}",
                display_name=f"Creator {creator}",
                kind="affiliate",
                creator_id=f"cr_{creator:06d}",
                creator_type="nano",
                version=1,
            )
        yield _fact(
            Account, begin_ms, account_id="acc_000001", display_name="Shop", kind="marketing", version=1
        )

    def _past(self) -> Iterator[Fact]:
        """Yield half a year of totals from before the first record."""
        begin_ms = self._calendar.day_start_ms(self._first_day)
        slices: tuple[SliceName, ...] = ("all", "seller_live", "affiliate")
        for day in range(self._first_day - 150, self._first_day):
            for metric in ("gmv", "orders", "items_sold"):
                for name in slices:
                    yield _fact(
                        HistoryTotal, begin_ms, date=day_label(day), metric=metric, slice=name, value=90_000.0,
                        is_final=True,
                    )  # fmt: skip

    def sales(self, orders: int, span: tuple[int, int], *, settled: bool) -> Iterator[Fact]:
        """Yield orders of one to two lines; of settled ones also what became of them."""
        drawn = Load(orders, mix=(("order_paid", 1.0),), seed=span[0], span_ms=span, shop=self.size.shop)
        for chunk in drawn.chunks():
            rows = zip(
                chunk.timestamps_ms.tolist(),
                chunk.products.tolist(),
                chunk.sources.tolist(),
                chunk.users.tolist(),
                chunk.noise[:, 0].tolist(),
                strict=True,
            )
            for at_ms, product, source, user, noise in rows:
                yield from self._sale(at_ms, product, self._sources[source], user, noise, settled=settled)

    def _sale(
        self, at_ms: int, product: int, source: Source | None, user: int, noise: int, *, settled: bool
    ) -> Iterator[Fact]:
        number = next(self._orders)
        order_id = f"o{number}"
        lines = [
            self._line(str(line), (product + line * 37) % len(self._products), source, noise >> (8 * line))
            for line in range(1 + noise % 2)
        ]
        self.lines += len(lines)
        customer = f"cus_{user if user >= 0 else USERS + number}"
        yield _fact(
            OrderPaid,
            at_ms,
            order_id=order_id,
            created_at_ms=at_ms - 9_000,
            paid_at_ms=at_ms,
            customer_id=customer,
            user_key=user_key(user) if user >= 0 else None,
            credits_minor=0,
            territory=TERRITORIES[noise % len(TERRITORIES)],
            lines=lines,
        )
        if not settled:
            return
        luck = noise / (1 << 63)
        if luck < _STATUS_SHARE:
            yield _fact(OrderStatusChanged, at_ms + DAY_MS, order_id=order_id, status="shipped", seq=1)
        elif luck < _STATUS_SHARE + _CANCELLED_SHARE:
            yield _fact(OrderStatusChanged, at_ms + HOUR_MS, order_id=order_id, status="cancelled", seq=1)
        elif luck < _STATUS_SHARE + _CANCELLED_SHARE + _REFUND_SHARE:
            yield _fact(
                Refund, min(at_ms + DAY_MS, self.begin_ms), refund_id=f"r{number}", order_id=order_id,
                line_id="0", customer_id=customer, product_id=lines[0].product_id, sku_id=lines[0].sku_id,
                kind="return", quantity=1, amount_minor=lines[0].goods_paid_minor, shipping_minor=0, tax_minor=0,
                requested_at_ms=at_ms, processed_at_ms=min(at_ms + DAY_MS, self.begin_ms),
            )  # fmt: skip

    def _line(self, line_id: str, product: int, source: Source | None, noise: int) -> OrderLine:
        price, quantity = 499 + product % 97 * 50, 1 + noise % 3
        product_id_ = self._products[product]
        return OrderLine(
            line_id=line_id,
            product_id=product_id_,
            sku_id=product_id_ + "-1",
            quantity=quantity,
            list_price_minor=price,
            goods_paid_minor=price * quantity,
            shipping_paid_minor=299,
            tax_minor=price * quantity // 12,
            seller_discount_minor=0,
            cofund_product_minor=0,
            cofund_shipping_minor=0,
            coupon_minor=0,
            source=source,
            ad_id=f"ad_{product % 50}" if noise % 10 == 0 else None,
        )

    def stock_levels(self, rng: np.random.Generator, skus: int, at_ms: int) -> Iterator[Fact]:
        """Yield the levels of so many SKUs."""
        chosen = rng.choice(len(self._products), min(skus, len(self._products)), replace=False)
        for number, level in zip(chosen.tolist(), rng.integers(0, 5_000, len(chosen)).tolist(), strict=True):
            product = self._products[number]
            yield _fact(StockChanged, at_ms, sku_id=product + "-1", product_id=product, available=level)

    def engagement(self, rng: np.random.Generator, records: int, at_ms: int) -> Iterator[Fact]:
        """Yield buckets of an hour; of each third the territory or the age of viewers is told."""
        hour_ms = at_ms // HOUR_MS * HOUR_MS
        for number in rng.integers(0, len(self._contents), records).tolist():
            views = int(rng.integers(10, 5_000))
            people = int(rng.integers(0, 8))
            yield _fact(
                ContentEngagement,
                at_ms,
                content_id=self._contents[number]["content_id"],
                bucket_start_ms=hour_ms,
                views=views,
                likes=views // 20,
                comments=views // 100,
                shares=views // 200,
                saves=views // 300,
                watch_seconds=views * 7.5,
                viewer_sketch=self._images.of(SKETCH_LG_K, "hll4", min(views, 500), people),
                territory=TERRITORIES[number % len(TERRITORIES)] if number % 3 == 1 else None,
                age_band=_AGES[number % len(_AGES)] if number % 3 == 2 else None,
                gender="f" if number % 3 == 2 else None,
                concurrent_viewers=views // 4,
            )

    def _ads(self, rng: np.random.Generator, at_ms: int) -> Iterator[Fact]:
        for number, spend in enumerate(rng.integers(100, 9_000, 50).tolist()):
            yield _fact(
                AdMetric, at_ms, ad_account_id=f"ad_{1 + number % 2}", ad_campaign_id=f"ac_{number % 5}",
                ad_id=f"ad_{number}", bucket_start_ms=at_ms // HOUR_MS * HOUR_MS, bucket_seconds=3_600,
                spend_minor=spend, gross_revenue_minor=spend * 3, impressions=spend * 4, clicks=spend // 10,
                purchases=spend // 200, revision=1, new_customers=spend // 400,
            )  # fmt: skip

    def _followers(self, rng: np.random.Generator, at_ms: int) -> Iterator[Fact]:
        gained = rng.integers(0, 100, self.size.shop.creators + 1).tolist()
        for number, more in enumerate(gained):
            account = "acc_000001" if not number else f"acc_{number + 99:06d}"
            followers = (
                1_000 + number * 10 + more + (at_ms - self._calendar.day_start_ms(self._first_day)) // HOUR_MS
            )
            yield _fact(Follower, at_ms, account_id=account, followers=followers, gained=more, lost=0)

    def _checkouts(self, rng: np.random.Generator, number: int, span: tuple[int, int]) -> Iterator[Fact]:
        times = np.sort(rng.integers(*span, number)).tolist()
        products = rng.integers(0, len(self._products), number).tolist()
        for at_ms, product in zip(times, products, strict=True):
            name = self._products[product]
            lines = [CheckoutLine(name, name + "-1", 1)]
            yield _fact(CheckoutStarted, at_ms, checkout_id=f"ch_{next(self._orders)}", lines=lines)

    def beat(self, name: str, at_ms: int) -> Fact:
        """Return the heartbeat of one sender."""
        topics = [topic.name for topic in SOURCE_TOPICS]
        beat: Fact = _fact(Heartbeat, at_ms, source=name, topics=topics, sent_until_ms=at_ms)
        return beat


def _fact(type_: type[Any], at_ms: int, /, **fields: Any) -> Any:
    """Make a fact as the fold keeps it: without event id and time of ingestion."""
    return type_(event_id="", event_type=_NAMES[type_], shop_id=SHOP.shop_id, occurred_at_ms=at_ms, **fields)


_NAMES: Final[dict[type[Any], str]] = {
    Shop: "shop",
    Heartbeat: "heartbeat",
    Campaign: "campaign",
    Product: "product",
    AdAccountSelected: "ad_account_selected",
    Benchmark: "benchmark",
    Content: "content",
    Violation: "violation",
    Account: "account",
    HistoryTotal: "history_total",
    OrderPaid: "order_paid",
    OrderStatusChanged: "order_status",
    Refund: "refund",
    StockChanged: "stock_changed",
    ContentEngagement: "content_engagement",
    AdMetric: "ad_metric",
    Follower: "follower",
    CheckoutStarted: "checkout_started",
}
