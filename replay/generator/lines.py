"""Events into lines of a recording: the network between them delays, repeats and holds back.

Columns, not objects: a campaign day is a few hundred thousand lines, made in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from replay.generator.assortment import PLACES, PRODUCTS, SHOP_ID, TERRITORIES
from replay.generator.facts import HELD_BACK_MS, Event, user_key
from streams.settings import FoldSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replay.generator.parameters import Knobs
    from replay.generator.traffic import Day, Touches
    from replay.writing import RecordingWriter

_CHUNK: Final = 20_000
_LATE_MS: Final = FoldSettings().allowed_lateness_ms
_TOPIC: Final = {
    "product_impression": "cm.impressions",
    "product_click": "cm.clicks",
    "product_page_view": "cm.page_views",
    "add_to_cart": "cm.add_to_cart",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """A topic of which nothing arrives in [off_ms, on_ms); what occurred then arrives right after."""

    topic: str
    off_ms: int
    on_ms: int


@dataclass(slots=True)
class Network:
    """What lies between an event and its record: delay, lateness, repetition, silence.

    Attributes:
        late: first copies of traffic that arrive later than is allowed, without those that the gap withheld.
        repeated: second copies.
        withheld: first copies that waited for the end of the gap.
    """

    rng: np.random.Generator
    knobs: Knobs
    day: Day
    gap: Gap | None = None
    late: int = 0
    repeated: int = 0
    withheld: int = 0

    def carry(self, frame: pl.DataFrame, topic: str, *, may_be_late: bool) -> pl.DataFrame:
        """Give rows (at_ms, key, value) a record timestamp `r_ms` and a topic; some come twice."""
        at_ms = frame["at_ms"].to_numpy()
        delay = self._lognormal("delay_median_ms", 0.8, len(at_ms)).clip(50, HELD_BACK_MS - 1)
        if may_be_late:
            is_late = self.rng.random(len(at_ms)) < self.knobs.number("late_share")
            later = self._lognormal("late_median_ms", 1.3, len(at_ms)).clip(180_000, None)
            # What would arrive after midnight arrives somewhere before it: the recording is one day.
            later = np.minimum(later, (self.day.end_ms - 1 - at_ms) * self.rng.random(len(at_ms)))
            delay = np.where(is_late, np.maximum(delay, later), delay)
            self.late += int((delay > _LATE_MS).sum())
        r_ms = at_ms + delay.astype(np.int64)
        if self.gap is not None and self.gap.topic == topic:
            held = (r_ms >= self.gap.off_ms) & (r_ms < self.gap.on_ms)
            order = np.argsort(np.argsort(r_ms[held]))
            r_ms[held] = self.gap.on_ms + 1_000 + order * 15_000 // max(1, int(held.sum()))
            self.withheld += int(held.sum())
        r_ms = np.minimum(r_ms, self.day.end_ms - 1)
        carried = frame.with_columns(pl.Series("r_ms", r_ms), pl.lit(topic).alias("topic"))
        return carried if topic == "cm.heartbeats" else pl.concat([carried, self._repeats(carried)])

    def _repeats(self, carried: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are sent again, each soon after its first copy."""
        chosen = np.flatnonzero(self.rng.random(carried.height) < self.knobs.number("repeat_share"))
        again = carried[chosen]
        later = self.rng.integers(200, int(self.knobs.number("repeat_within_ms")), again.height)
        again = again.with_columns(pl.col("r_ms") + pl.Series(later)).filter(pl.col("r_ms") < self.day.end_ms)
        if self.gap is not None:
            silent = pl.col("r_ms").is_between(self.gap.off_ms, self.gap.on_ms, closed="left")
            again = again.filter(~(silent & (pl.col("topic") == self.gap.topic)))
        self.repeated += again.height
        return again

    def _lognormal(
        self, median: str, sigma: float, count: int
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self.rng.lognormal(np.log(self.knobs.number(median)), sigma, count)


def traffic_frame(rng: np.random.Generator, day: Day, event_type: str, touches: Touches) -> pl.DataFrame:
    """Return traffic as rows (at_ms, key, value) in the order of time."""
    order = np.argsort(touches.at_ms, kind="stable")
    people, person = np.unique(touches.person[order], return_inverse=True)
    keys = pl.Series([user_key(int(number)) for number in people], dtype=pl.String)
    frame = pl.DataFrame(
        {
            "at_ms": touches.at_ms[order],
            "key": keys.gather(person),
            "product": _texts([product.product_id for product in PRODUCTS], touches.product[order]),
            "source": _texts([_json(place.block) for place in PLACES], touches.place[order]),
        }
    ).with_row_index("number")
    day_text, kind = day.label.replace("-", ""), event_type.removeprefix("product_")
    parts = [
        pl.lit(f'{{"event_id":"{kind}-{day_text}-'),
        pl.col("number"),
        pl.lit(f'","event_type":"{event_type}","shop_id":"{SHOP_ID}","occurred_at_ms":'),
        pl.col("at_ms"),
        pl.lit(',"user_key":"'),
        pl.col("key"),
        pl.lit('","product_id":"'),
        pl.col("product"),
        pl.lit('","source":'),
        pl.col("source"),
    ]
    if event_type == "add_to_cart":
        skus = [_json(sku) for product in PRODUCTS for sku in product.sku_ids]
        first = np.cumsum([0, *(len(product.sku_ids) for product in PRODUCTS)])
        sizes = np.diff(first)[touches.product[order]]
        variant = first[touches.product[order]] + (rng.random(len(order)) * sizes).astype(np.int64)
        parts += [pl.lit(',"quantity":1,"sku_id":'), pl.lit(_texts(skus, variant))]
    if event_type == "product_impression":
        where = _texts(list(TERRITORIES), rng.integers(len(TERRITORIES), size=len(order)))
        parts += [pl.lit(',"territory":"'), pl.lit(where), pl.lit('"')]
    return frame.select("at_ms", "key", pl.concat_str([*parts, pl.lit("}")]).alias("value"))


def traffic_topic(event_type: str) -> str:
    """Return the topic of a kind of traffic."""
    return _TOPIC[event_type]


def fact_frames(events: Iterable[Event]) -> dict[str, pl.DataFrame]:
    """Return facts as rows (at_ms, key, value) per topic, in the order of time."""
    by_topic: dict[str, list[Event]] = {}
    for event in events:
        by_topic.setdefault(event.topic, []).append(event)
    return {
        topic: pl.DataFrame(
            {
                "at_ms": [event.at_ms for event in found],
                "key": [event.key for event in found],
                "value": [event.value.decode() for event in found],
            },
            schema={"at_ms": pl.Int64, "key": pl.String, "value": pl.String},
        ).sort("at_ms", maintain_order=True)
        for topic, found in by_topic.items()
    }


def write_lines(writer: RecordingWriter, carried: list[pl.DataFrame]) -> None:
    """Write all rows in the order of their record timestamps."""
    rows = pl.concat(carried).sort("r_ms", maintain_order=True)
    line = pl.concat_str(
        [
            pl.lit('{"topic":"'),
            pl.col("topic"),
            pl.lit('","key":"'),
            pl.col("key"),
            pl.lit('","timestamp_ms":'),
            pl.col("r_ms"),
            pl.lit(',"value":'),
            pl.col("value"),
            pl.lit("}"),
        ]
    )
    for start in range(0, rows.height, _CHUNK):
        chunk = rows[start : start + _CHUNK]
        text = "\n".join(chunk.select(line.alias("line"))["line"].to_list()) + "\n"
        sizes = chunk.group_by("topic").agg(pl.len(), pl.col("value").str.len_bytes().sum().alias("size"))
        stamps = chunk["r_ms"].to_numpy()
        writer.write_lines(
            text.encode(), sizes.sort("topic").iter_rows(), first_ms=int(stamps[0]), last_ms=int(stamps[-1])
        )


def _texts(texts: list[str], index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).gather(index)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
