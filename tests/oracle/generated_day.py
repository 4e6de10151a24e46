"""The figures of a generated day straight from the lines of its recording, in polars.

Written from spec/events.md, spec/metrics.md and spec/decisions.md alone, with slices and leaves spelled out again: a
traffic event counts once per event_id, a fact is the record with the greatest (version, occurred_at_ms) of its key,
times are bucketed in the shop's zone by occurred_at_ms. People are exact sets here, where answers are estimates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

ZONE = "America/Los_Angeles"

TRAFFIC = {
    "product_impression": ("product_impressions", "unique_product_impressions"),
    "product_click": ("product_clicks", "unique_clicks"),
    "product_page_view": ("product_page_views", "unique_page_viewers"),
    "add_to_cart": ("atc_count", "atc_users"),
}
COUNTS = tuple(count for count, _ in TRAFFIC.values())
PEOPLE = tuple(people for _, people in TRAFFIC.values())
SALES = (
    *("gmv", "gmv_with_tax", "tax_paid", "gmv_with_cofunding", "shipping_fees_paid", "orders", "sku_orders"),
    *("items_sold", "est_customers", "unique_customers", "cancel_rate"),
)
REFUNDS = ("refunds_amount", "items_refunded", "refund_customers")
RATES = {
    "ctr": ("product_clicks", "product_impressions"),
    "atc_rate": ("atc_count", "product_clicks"),
    "ctor": ("sku_orders", "product_clicks"),
    "aov_revenue": ("gmv", "orders"),
    "aov_sku": ("gmv", "sku_orders"),
}
FACT_KEYS = {
    "order_paid": ("order_id",),
    "order_status": ("order_id", "status"),
    "refund": ("refund_id", "line_id"),
}
LEAVES = (
    *("shop_tab", "seller_live", "seller_video", "seller_product_card"),
    *("affiliate_live", "affiliate_video", "affiliate_other", "other"),
)
SLICES = ("all", *LEAVES[:6], "affiliate")

Rows = dict[tuple[str, ...], dict[str, float | None]]


@dataclass(frozen=True)
class GeneratedDay:
    """What is left of the lines after repeats and older versions are out.

    Attributes:
        traffic: event_type, at, product, user, leaf, slices.
        lines: of paid orders: order_id, at, who, product, sku, money in cents, leaf, slices, pair (carries its SKU
            order), status, cancelled.
        refunds: at, who, product, quantity, cents, and the leaf and slices of the order's line.
    """

    traffic: pl.DataFrame
    lines: pl.DataFrame
    refunds: pl.DataFrame

    def adders(self) -> dict[str, tuple[int, int]]:
        """Return product -> person-days that viewed its page, and those of them that added it too."""
        crowds = {
            kind: set(
                self.traffic.filter(pl.col("event_type") == kind)
                .select("product", "day", "user")
                .drop_nulls()
                .iter_rows()
            )
            for kind in ("product_page_view", "add_to_cart")
        }
        found: dict[str, tuple[int, int]] = {}
        for person in crowds["product_page_view"]:
            viewers, both = found.get(person[0], (0, 0))
            found[person[0]] = (viewers + 1, both + (person in crowds["add_to_cart"]))
        return found

    def figures(self, by: tuple[str, ...]) -> Rows:
        """Return every metric per combination of `by` that occurs; people are exact."""
        rows: Rows = {}
        zeros: dict[str, float | None] = dict.fromkeys((*COUNTS, *PEOPLE, *SALES, *REFUNDS), 0.0)
        zeros["cancel_rate"] = None
        for table in (*self._traffic(by), self._sales(by), self._refunds(by)):
            for row in table.iter_rows(named=True):
                key = tuple(row.pop(name) for name in by)
                rows.setdefault(key, dict(zeros)).update(row)
        for row in rows.values():
            for name, (up, down) in RATES.items():
                numerator, divisor = row[up], row[down]
                row[name] = None if numerator is None or not divisor else numerator / divisor
        return rows

    def statuses(self) -> dict[tuple[str, ...], dict[str, float | None]]:
        """Return paid orders by their present status."""
        table = self.lines.unique("order_id").group_by("status").len()
        return {(status,): {"orders_by_status": orders} for status, orders in table.iter_rows()}

    def _traffic(self, by: tuple[str, ...]) -> Iterable[pl.DataFrame]:
        for event_type, (count, people) in TRAFFIC.items():
            of_type = self.traffic.filter(event_type=event_type)
            yield _per(of_type, by, **{count: pl.len(), people: _per_day("user")})

    def _sales(self, by: tuple[str, ...]) -> pl.DataFrame:
        gmv = pl.col("goods") + pl.col("shipping")
        return _per(
            self.lines,
            by,
            gmv=gmv.sum() / 100,
            gmv_with_tax=(gmv + pl.col("tax")).sum() / 100,
            tax_paid=pl.col("tax").sum() / 100,
            gmv_with_cofunding=(gmv + pl.col("cofunding")).sum() / 100,
            shipping_fees_paid=pl.col("shipping").sum() / 100,
            orders=pl.col("order_id").n_unique(),
            sku_orders=pl.col("pair").sum(),
            items_sold=pl.col("quantity").sum(),
            est_customers=_per_day("who"),
            unique_customers=pl.col("who").n_unique(),
            cancel_rate=pl.col("order_id").filter("cancelled").n_unique() / pl.col("order_id").n_unique(),
        )

    def _refunds(self, by: tuple[str, ...]) -> pl.DataFrame:
        return _per(
            self.refunds,
            by,
            refunds_amount=pl.col("cents").sum() / 100,
            items_refunded=pl.col("quantity").sum(),
            refund_customers=_per_day("who"),
        )


def read(folder: Path) -> GeneratedDay:
    """Read the uncompressed lines of a recording."""
    traffic: dict[str, dict[str, Any]] = {}
    facts: dict[tuple[str, ...], dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(text)["value"]
            kind = event["event_type"]
            if kind in TRAFFIC:
                traffic.setdefault(event["event_id"], event)
            elif kind in FACT_KEYS:
                place = (kind, *(event[name] for name in FACT_KEYS[kind]))
                before = facts.get(place)
                if before is None or _version(event) > _version(before):
                    facts[place] = event
    return _frames(traffic.values(), facts.values())


def _frames(traffic: Iterable[dict[str, Any]], facts: Iterable[dict[str, Any]]) -> GeneratedDay:
    events = list(facts)
    statuses: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event["event_type"] == "order_status":
            statuses.setdefault(event["order_id"], []).append(event)
    lines = [
        line for event in events if event["event_type"] == "order_paid" for line in _lines(event, statuses)
    ]
    places = {(line["order_id"], line["line_id"]): line for line in lines}
    refunds = []
    for event in events:
        if event["event_type"] == "refund":
            line = places.get((event["order_id"], event["line_id"]), {"leaf": "other", "slices": ["all"]})
            refunds.append(
                {
                    "at": event["processed_at_ms"],
                    "who": event["customer_id"],
                    "product": event["product_id"],
                    "quantity": event["quantity"],
                    "cents": event["amount_minor"] + event["shipping_minor"],
                    "leaf": line["leaf"],
                    "slices": line["slices"],
                }
            )
    seen = [
        {
            "event_type": event["event_type"],
            "at": event["occurred_at_ms"],
            "product": event["product_id"],
            "user": event.get("user_key"),
            **_where(event.get("source")),
        }
        for event in traffic
    ]
    return GeneratedDay(_frame(seen), _frame(lines), _frame(refunds))


def _lines(order: dict[str, Any], statuses: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    states = statuses.get(order["order_id"], [])
    present = max(states, key=lambda one: (one["seq"], one["occurred_at_ms"]))["status"] if states else "paid"
    first: dict[str, str] = {}
    for line in order["lines"]:
        first[line["sku_id"]] = min(first.get(line["sku_id"], line["line_id"]), line["line_id"])
    return [
        {
            "order_id": order["order_id"],
            "line_id": line["line_id"],
            "at": order["paid_at_ms"],
            "who": order["customer_id"],
            "product": line["product_id"],
            "sku": line["sku_id"],
            "quantity": line["quantity"],
            "goods": line["goods_paid_minor"],
            "shipping": line["shipping_paid_minor"],
            "tax": line["tax_minor"],
            "cofunding": line["cofund_product_minor"] + line["cofund_shipping_minor"],
            "pair": first[line["sku_id"]] == line["line_id"],
            "status": present,
            "cancelled": any(one["status"] == "cancelled" for one in states),
            **_where(line.get("source")),
        }
        for line in order["lines"]
    ]


def _where(source: dict[str, Any] | None) -> dict[str, Any]:
    """Return leaf and slices of a source block, as the table of spec/events.md says."""
    owner, form, in_tab = "none", "other", False
    if source is not None:
        owner, form, in_tab = source["owner"], source["format"], source["surface"] == "shop_tab"
    if owner == "seller" and form in ("live", "video", "product_card"):
        kind = f"seller_{form}"
    elif owner == "affiliate":
        kind = f"affiliate_{form}" if form in ("live", "video") else "affiliate_other"
    else:
        kind = "other"
    slices = ["all"]
    if kind in SLICES:
        slices.append(kind)
    if owner == "affiliate":
        slices.append("affiliate")
    if in_tab:
        slices.append("shop_tab")
    return {"leaf": "shop_tab" if in_tab else kind, "slices": slices}


def _version(event: dict[str, Any]) -> tuple[int, int]:
    return (event.get("seq", 0), event["occurred_at_ms"])


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    at = pl.from_epoch("at", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        at.dt.strftime("%Y-%m-%d").alias("day"), at.dt.strftime("%Y-%m-%dT%H%:z").alias("hour")
    )


def _per(table: pl.DataFrame, by: tuple[str, ...], **metrics: pl.Expr) -> pl.DataFrame:
    if "slice" in by:
        table = table.with_columns(pl.col("slices").alias("slice")).explode("slice")
    return table.group_by(*by).agg(**metrics) if by else table.select(**metrics)


def _per_day(who: str) -> pl.Expr:
    """Return distinct within each day, summed; who is not known is nobody."""
    return pl.struct("day", who).filter(pl.col(who).is_not_null()).n_unique()
