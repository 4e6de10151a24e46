"""The same names must land in the same cells for as long as a partition's state lives."""

from __future__ import annotations

import gc
import json

from streams.cubes import PRODUCT_DAY
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings, ShopSettings

R_MS = 1_764_360_000_000


def _batch(first: int, products: list[str]) -> RecordBatch:
    values = [
        json.dumps(
            {
                "event_id": f"e{first + number}",
                "event_type": "product_impression",
                "shop_id": "s1",
                "occurred_at_ms": R_MS,
                "product_id": product,
            }
        ).encode()
        for number, product in enumerate(products)
    ]
    count = len(values)
    return RecordBatch("impressions", 0, range(first, first + count), [R_MS] * count, values, [None] * count)


def test_events_of_a_product_stay_together_when_no_batch_is_in_memory_any_more() -> None:
    state = PartitionState(0, shops={"s1": ShopSettings("s1")}, settings=FoldSettings(), cubes=(PRODUCT_DAY,))
    state.fold(_batch(0, ["mug", "lamp"]))
    gc.collect()
    state.fold(_batch(2, ["lamp", "vase", "lamp"]))
    flush = state.take_flush()
    assert flush is not None
    counts = {row.key.dims[0]: row.events for row in flush.rows}
    assert counts == {"mug": 1, "lamp": 3, "vase": 1}
