"""Made-up starting stocks for a recording that has no stock feed, so that its stock rules can be rehearsed.

Every SKU that sells in the span begins it with a share of what it sold there. Orders are served in their order: what
is not left is not sold, the line is cut or goes. Every sale leaves its stock record. What comes out is labelled as
simulated wherever it is shown.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from replay.recording import Line
from streams.topics import RECORDING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.recording import Recording

_ORDERS: Final = RECORDING_PREFIX + "orders"
_STOCK: Final = RECORDING_PREFIX + "stock"
_PRODUCTS: Final = RECORDING_PREFIX + "products"
_MONEY: Final = (
    "goods_paid_minor",
    "shipping_paid_minor",
    "tax_minor",
    "seller_discount_minor",
    "cofund_product_minor",
    "cofund_shipping_minor",
    "coupon_minor",
)
"""Of a line as a whole: cut in proportion with its units."""

_Sku = tuple[str, str]
"""Shop, SKU."""


class SimulatedStock:
    """A recording's lines with stock records among them.

    Args:
        recording: without a stock feed; its stock records, where it has any, are left out.
        share: starting stock by units sold in the span, > 0; 1.1 is 110 %.
        from_ms, to_ms: the span; what lies before it is left as it was.
    """

    def __init__(self, recording: Recording, share: float, *, from_ms: int, to_ms: int) -> None:
        self._recording = recording
        self._from_ms = from_ms
        self._to_ms = to_ms
        sold: Counter[_Sku] = Counter()
        fees: set[_Sku] = set()
        self._products: dict[_Sku, str] = {}
        for line in recording.lines(to_ms=to_ms):
            order = _order(line) if line.timestamp_ms >= from_ms else None
            if order is not None:
                for part in order["lines"]:
                    sku = str(order["shop_id"]), str(part["sku_id"])
                    sold[sku] += int(part["quantity"])
                    self._products[sku] = str(part["product_id"])
            elif line.topic == _PRODUCTS:
                fees |= _fees(line)
        # Postage and bank charges have no stock to run out of.
        for sku in fees:
            del sold[sku]
        self._left = {sku: math.ceil(units * share) for sku, units in sold.items() if units > 0}
        self._records = 0

    @property
    def skus(self) -> int:
        """Return how many SKUs have a simulated stock."""
        return len(self._left)

    def lines(self) -> Iterator[Line]:
        """Yield the recording's lines up to the end of the span, in the order of R; once."""
        begun = False
        for line in self._recording.lines(to_ms=self._to_ms):
            if not begun and line.timestamp_ms >= self._from_ms:
                begun = True
                yield from (self._record(sku, self._from_ms, self._from_ms) for sku in sorted(self._left))
            if line.topic == _STOCK:
                continue
            order = _order(line) if begun else None
            if order is None:
                yield line
            else:
                yield from self._served(line, order)

    def _served(self, line: Line, order: dict[str, Any]) -> Iterator[Line]:
        kept: list[dict[str, Any]] = []
        touched: dict[_Sku, None] = {}
        for part in order["lines"]:
            sku = (str(order["shop_id"]), str(part["sku_id"]))
            wanted = int(part["quantity"])
            units = min(wanted, self._left.get(sku, wanted))
            if sku in self._left and units:
                self._left[sku] -= units
                touched[sku] = None
            if units or not wanted:
                kept.append(part if units == wanted else _cut(part, units, wanted))
        if not kept:
            return
        yield line if kept == order["lines"] else line._replace(value=_encoded({**order, "lines": kept}))
        for sku in touched:
            yield self._record(sku, int(order["occurred_at_ms"]), line.timestamp_ms)

    def _record(self, sku: _Sku, at_ms: int, received_ms: int) -> Line:
        self._records += 1
        shop_id, sku_id = sku
        value = {
            "event_id": f"simulated-stock-{self._records}",
            "event_type": "stock_changed",
            "shop_id": shop_id,
            "occurred_at_ms": at_ms,
            "sku_id": sku_id,
            "product_id": self._products[sku],
            "available": self._left[sku],
            "version": self._records,
        }
        return Line(_STOCK, sku_id.encode(), received_ms, _encoded(value))


def _order(line: Line) -> dict[str, Any] | None:
    """Return an order as it was paid; None for every other record, also for one that cannot be read."""
    if line.topic != _ORDERS or line.value is None or b'"order_paid"' not in line.value:
        return None
    try:
        order = json.loads(line.value)
        ids = [(part["sku_id"], part["product_id"], int(part["quantity"])) for part in order["lines"]]
    except (ValueError, KeyError, TypeError):
        return None
    return order if order.get("event_type") == "order_paid" and "shop_id" in order and ids else None


def _fees(line: Line) -> set[_Sku]:
    """Return the SKUs of a product card of the category `fee`, as importers mark what is no merchandise."""
    try:
        card = json.loads(line.value or b"")
        return (
            {(str(card["shop_id"]), str(sku)) for sku in card["sku_ids"]}
            if card["category"] == "fee"
            else set()
        )
    except (ValueError, KeyError, TypeError):
        return set()


def _cut(part: dict[str, Any], units: int, wanted: int) -> dict[str, Any]:
    return {**part, "quantity": units} | {
        name: part[name] * units // wanted for name in _MONEY if name in part
    }


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
