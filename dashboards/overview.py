"""The first screen as one document: answers of the query layer, laid out; no arithmetic here.

Everything that the page shows is in this document, so that a wall, a phone and a test see the same numbers.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from dashboards.desk import Desk, standing, told_elsewhere
from dashboards.missing import missing, unfed
from dashboards.overview_rows import eased, page_row, stock_row, with_lost_feed
from dashboards.own_figures import own_figures
from streams.alerts import AlertRoute
from streams.board import IsJudged, ReportsLag
from streams.catalogue import METRICS, Unit
from streams.days import day_label
from streams.demand import flagged_products
from streams.errors import QueryError
from streams.goals import running_campaign
from streams.overview import (
    FeedWatch,
    Pulse,
    aligned_ms,
    goal_bar,
    pulse,
    record_counts,
    reference_day,
    relative_change,
    window_since_midnight,
)
from streams.query import run
from streams.reason_words import NO_CAMPAIGN
from streams.request import parse_request
from streams.stock import StockStatus, stock_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.board import Board
    from streams.overview import Feed
    from streams.settings import ShopSettings
    from streams.stock import SkuStock

    Document = dict[str, Any]

TILES: Final = ("gmv", "gmv_last_15m", "orders", "est_customers", "aov_revenue", "ctor")
FUNNEL: Final = (
    ("product_impressions", None),
    ("product_clicks", "ctr"),
    ("atc_count", "atc_rate"),
    ("sku_orders", "ctor"),
)
"""Steps of the funnel, each with the rate that leads to it; a rate's divisor is its own, not the step above it."""

ASKED: Final = tuple(
    dict.fromkeys((*TILES, *(name for step, rate in FUNNEL for name in (step, rate) if name is not None)))
)

STOCK_ROWS: Final = 6
PAGE_ROWS: Final = 5

LEAST_AGE_S: Final = 1.0
"""A document of the same version is given again for this long: many walls cost one evaluation."""

STOCK_AGE_S: Final = 2.0
"""The stock table is the dearest part of the screen, and its times move slowly."""

SHOWN_STATUS: Final = (StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK)


class UnknownShopError(LookupError):
    """The board knows no shop of this id."""


@dataclass(slots=True)
class _Kept:
    version: int
    at_s: float
    document: Document


class Overview:
    """Build the first screen's document for a shop.

    Args:
        board: what is shown.
        build: changes with the page's files, so that an open page knows when to load itself again.
        delivering: whether pages really go out; else the log is of what would have been sent.
        desk: who has which page, and what is muted; None where nobody can take one on.
        looked: told up to when the board was complete, for each document that is asked for.
        monotonic_s: a clock for what may be given again.
    """

    def __init__(
        self,
        board: Board,
        *,
        build: str = "",
        delivering: bool = False,
        desk: Desk | None = None,
        looked: Callable[[int], None] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._looked = looked
        self._build = build
        self._delivering = delivering
        self._desk = desk
        self._monotonic_s = monotonic_s
        self._feeds = FeedWatch()
        self._kept: dict[str, _Kept] = {}
        self._stock: dict[str, tuple[int, float, list[SkuStock]]] = {}
        self._demanded: dict[str, frozenset[str]] = {}

    def document(self, shop_id: str | None = None) -> Document:
        """Return the document; of the only or first shop when none is named.

        Raises:
            UnknownShopError: the board knows no such shop, or none at all.
        """
        shops = self._board.columns.shops()
        if shop_id is None:
            if not shops:
                what = "The board has no shop yet."
                raise UnknownShopError(what)
            shop_id = shops[0]
        elif shop_id not in shops:
            what = f"The board knows no shop {shop_id!r}."
            raise UnknownShopError(what)
        kept = self._kept.get(shop_id)
        now_s = self._monotonic_s()
        version = self._board.columns.version
        if self._looked is not None:
            self._looked(self._board.columns.vouched_ms)
        if kept and kept.version == version and now_s - kept.at_s < LEAST_AGE_S:
            return kept.document
        document = self._assemble(shop_id)
        self._kept[shop_id] = _Kept(version, now_s, document)
        return document

    def _assemble(self, shop_id: str) -> Document:
        board = self._board
        columns = board.columns
        shop = columns.shop(shop_id)
        now_ms = board.now_ms()
        calendar = columns.calendar(shop_id)
        loading = board.ready() is not None
        reference = None if loading else reference_day(columns, shop, now_ms)
        then_ms = None if reference is None else aligned_ms(calendar, now_ms, reference)
        campaign = running_campaign(columns, shop, as_of_ms=now_ms)
        feeds = self._feeds.feeds(columns, shop, now_ms)
        asked = self._ask(shop_id, ASKED, "today", now_ms)
        today = {name: with_lost_feed(figure, feeds) for name, figure in asked.items()}
        earlier = self._earlier(shop_id, then_ms) if then_ms is not None else {}
        figures = {name: _compared(today[name], earlier.get(name)) for name in TILES}
        return {
            "build": self._build,
            "version": columns.version,
            "shop": {
                "id": shop_id,
                "name": shop.name or shop_id,
                "timezone": shop.timezone,
                "currency": shop.currency,
            },
            "shops": columns.shops(),
            "campaign": None
            if campaign is None
            else {
                "id": str(campaign.campaign_id),
                "name": campaign.name,
                "starts_at_ms": campaign.starts_at_ms,
                "ends_at_ms": campaign.ends_at_ms,
            },
            "replay_id": board.replay_id,
            "badge": board.badge,
            "loading": board.ready(),
            "now_ms": now_ms,
            "clock_runs": not board.replay_id,
            "reference": None
            if reference is None
            else {"day": day_label(reference), "label": _day_name(reference), "at_ms": then_ms},
            "figures": figures,
            "goal": self._goal(shop, now_ms, figures["gmv"]),
            "funnel": [
                {**today[step], **({"rate": today[rate]} if rate is not None else {})}
                for step, rate in FUNNEL
            ],
            "own": own_figures(board, shop_id, now_ms),
            "slices": self._slices(shop_id, now_ms),
            "chart": self._chart(shop, now_ms, reference),
            "stock": self._stock_panel(shop, now_ms),
            "pages": {"delivering": self._delivering, "rows": self._pages(shop_id)},
            "strip": self._strip(shop, now_ms, feeds),
        }

    def _earlier(self, shop_id: str, then_ms: int) -> dict[str, Document]:
        """Return the figures of the reference day until the same time of the shop's clock."""
        window = window_since_midnight(self._board.columns.calendar(shop_id), then_ms)
        return self._ask(shop_id, TILES, window, then_ms)

    def _ask(self, shop_id: str, names: Sequence[str], window: str, now_ms: int) -> dict[str, Document]:
        """Ask for figures that read the same topics together; a refusal becomes each one's reason.

        Apart from the others, because an answer is as of the slowest topic that it reads: a click feed that is lost
        must not hold the money back, and minutes of traffic that are forgotten must not refuse those of orders.
        """
        if self._board.ready() is not None:
            return {name: self._null(shop_id, name, "loading") for name in names}
        groups: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            groups.setdefault(METRICS[name].topics, []).append(name)
        figures: dict[str, Document] = {}
        for group in groups.values():
            question = parse_request({"metrics": ",".join(group), "window": window, "shop": shop_id})
            try:
                answer = run(self._board.columns, question, now_ms=now_ms).document()
            except QueryError as error:
                figures |= {name: self._null(shop_id, name, error.reason) for name in group}
                continue
            row = answer["rows"][0] if answer["rows"] else {}
            for name in group:
                if row.get(name) is None:
                    reason = next(iter(answer["nulls"].get(name, {})), "no_source")
                    figures[name] = self._null(shop_id, name, reason)
                else:
                    figures[name] = {"metric": name, "unit": unit_of(name), "value": row[name]}
        return figures

    def _null(self, shop_id: str, name: str, reason: str) -> Document:
        topics = unfed(self._board.columns, shop_id, METRICS[name].topics)
        return {"metric": name, "unit": unit_of(name), "value": None} | missing(reason, topics)

    def _goal(self, shop: ShopSettings, now_ms: int, gmv: Document) -> Document:
        columns = self._board.columns
        nothing = {"target": None, "progress": None, "reference_progress": None, "campaign_progress": None}
        if self._board.ready() is not None:
            return nothing | missing("loading")
        bar = goal_bar(columns, shop, as_of_ms=now_ms, gmv=gmv["value"], reference_gmv=gmv["reference"])
        if bar is None:
            running = running_campaign(columns, shop, as_of_ms=now_ms)
            return nothing | missing(NO_CAMPAIGN if running is None else "no_target")
        return asdict(bar)

    def _slices(self, shop_id: str, now_ms: int) -> Document:
        if self._board.ready() is not None:
            return {"rows": []} | missing("loading")
        names = ("gmv", "gmv_channel_contribution")
        params = {"metrics": ",".join(names), "by": "leaf", "window": "today", "shop": shop_id}
        try:
            answer = run(self._board.columns, parse_request(params), now_ms=now_ms).document()
        except QueryError as error:
            return {"rows": []} | missing(error.reason)
        rows = [
            {"leaf": row["leaf"], "gmv": row["gmv"], "share": row["gmv_channel_contribution"]}
            for row in answer["rows"]
            if row["gmv"] is not None
        ]
        if rows:
            return {"rows": rows}
        null = self._null(shop_id, "gmv", next(iter(answer["nulls"].get("gmv", {})), "no_source"))
        return {"rows": []} | missing(null["null"], null["needs"])

    def _chart(self, shop: ShopSettings, now_ms: int, reference: int | None) -> Document:
        columns = self._board.columns
        if self._board.ready() is not None:
            return missing("loading")
        if needs := unfed(columns, shop.shop_id, ["orders"]):
            return missing("no_source", needs)
        calendar = columns.calendar(shop.shop_id)
        today = pulse(columns, shop, calendar.day_of(now_ms))
        ends = [*today.starts_ms[1:], today.ends_ms]
        return {
            "starts_ms": today.starts_ms,
            "ends_ms": today.ends_ms,
            "today": [gmv if end <= now_ms else None for gmv, end in zip(today.gmv, ends, strict=True)],
            "open": [
                gmv if start <= now_ms < end else None
                for gmv, start, end in zip(today.gmv, today.starts_ms, ends, strict=True)
            ],
            "reference": _beside(today, None if reference is None else pulse(columns, shop, reference)),
            "reference_label": None if reference is None else _day_name(reference),
        }

    def _stock_panel(self, shop: ShopSettings, now_ms: int) -> Document:
        columns = self._board.columns
        if self._board.ready() is not None:
            return {"rows": []} | missing("loading")
        if needs := unfed(columns, shop.shop_id, ["stock"]):
            return {"rows": []} | missing("no_source", needs)
        table = [row for row in self._table(shop, now_ms) if row.status in SHOWN_STATUS]
        table.sort(key=lambda row: (-row.gmv_at_risk_minor, row.sku_id))
        demanded = self._demanded[shop.shop_id]
        return {
            "rows": [
                stock_row(row, shop.currency) | {"high_demand": row.product_id in demanded}
                for row in table[:STOCK_ROWS]
            ],
            "more": len(table[STOCK_ROWS:]),
        }

    def _table(self, shop: ShopSettings, now_ms: int) -> list[SkuStock]:
        columns = self._board.columns
        now_s = self._monotonic_s()
        kept = self._stock.get(shop.shop_id)
        if kept is not None and now_s - kept[1] < STOCK_AGE_S:
            return kept[2]
        as_of_ms = columns.as_of_ms(shop.shop_id, ("orders", "stock"), now_ms)
        table = stock_table(columns, shop, columns.settings.stock, as_of_ms=as_of_ms)
        self._stock[shop.shop_id] = (columns.version, now_s, table)
        self._demanded[shop.shop_id] = flagged_products(columns, shop, columns.settings.stock, as_of_ms)
        return table

    def _pages(self, shop_id: str) -> list[Document]:
        pages = [
            alert
            for alert in self._board.alerts()
            if alert.shop_id == shop_id and alert.route is AlertRoute.PAGE
        ]
        # What eased by itself gives way to what ran out or still may; among equals the newest comes first.
        pages.sort(key=lambda alert: (eased(alert), -alert.opened_at_ms, alert.alert_id))
        now_ms, elsewhere = self._board.now_ms(), told_elsewhere(self._board)
        return [
            page_row(each) | standing(self._desk, each, now_ms, elsewhere=elsewhere)
            for each in pages[:PAGE_ROWS]
        ]

    def _strip(self, shop: ShopSettings, now_ms: int, feeds: Sequence[Feed]) -> Document:
        columns = self._board.columns
        counts = record_counts(columns)
        fresh = self._ask(shop.shop_id, ("view_as_of", "today_lag_seconds"), "today", now_ms)
        lag_s = fresh["today_lag_seconds"]["value"]
        verdict = self._board.verdict if isinstance(self._board, IsJudged) else None
        divided = (
            ("counted", counts.counted),
            ("late", counts.late),
            ("repeated", counts.repeated),
            ("superseded", counts.superseded),
            ("dead letters", counts.dead),
        )
        return {
            "as_of_ms": fresh["view_as_of"]["value"],
            "lag_s": lag_s,
            "behind": lag_s is not None and lag_s * 1000 > columns.settings.board.catching_up_ms,
            "records_behind": self._board.lag() if isinstance(self._board, ReportsLag) else None,
            "records_in": counts.records,
            "outcomes": [{"label": label, "records": records} for label, records in divided],
            "judge": None if verdict is None else {**asdict(verdict), "agrees": verdict.agrees},
            "feeds": [
                {"topic": feed.topic, "state": feed.state.value, "since_ms": feed.since_ms} for feed in feeds
            ],
        }


def unit_of(name: str) -> str:
    """Return how the page formats a metric: money, ratio or count."""
    return {Unit.MONEY: "money", Unit.RATE: "ratio"}.get(METRICS[name].unit, "count")


def _compared(figure: Document, reference: Document | None) -> Document:
    then = None if reference is None else reference["value"]
    return {**figure, "reference": then, "change": relative_change(figure["value"], then)}


def _beside(today: Pulse, reference: Pulse | None) -> list[float | None]:
    """Lay another day's quarters beside today's; where a clock changed, the days differ by an hour at the end."""
    if reference is None:
        return [None] * len(today.starts_ms)
    quarters = len(today.starts_ms)
    return [*reference.gmv[:quarters], *([None] * (quarters - len(reference.gmv)))]


def _day_name(day: int) -> str:
    date = dt.date.fromordinal(day)
    return f"{date:%a} {date.day} {date:%b}"
