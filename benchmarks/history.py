"""Ask a board about half a year, most of which lies in files: time, memory and disk of the history (ADR 14).

    python -m benchmarks.history --json

A board of the reference shop (2,000 products, 500 contents, 200 creators) reads its last days from bytes of the state
and facts topics, and finds the days before them as the Parquet files that a board has written (`agents/archiver.py`).
Five days are drawn, folded into files by the archiver and timed; the other files are copies of these under their own
days. Drawn cells share a few sketches of people, which Parquet stores once: `people_mib_a_day` is what the sketches
take in a life where they differ.

Facts are of the last days alone: what those of more days take is in docs/STATE.md, What grows for ever.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl
import psutil

from agents.archive import DayFolder
from agents.archiver import Archiver
from agents.heap import use_one_heap
from agents.worker import tune_collector
from benchmarks.load import DAY, SHOP
from benchmarks.month_facts import Size
from benchmarks.shop_month import ShopMonth
from streams.columns import Columns
from streams.cubes import CUBE_BY_NAME, TRAFFIC, Grain
from streams.days import DAY_MS, day_label
from streams.outcomes import Outcome
from streams.query import parse_request, run
from streams.settings import FoldSettings, Settings
from streams.state import Flush, Position, ShopSpan
from streams.topics import TOPIC_OF_TYPE
from streams.wire import decode_fact, decode_state, encode_flush

T = TypeVar("T")

HALF_A_YEAR: Final = 182
DRAWN_DAYS: Final = 5
HOT_DAYS: Final = 3

QUESTIONS: Final[dict[str, dict[str, str]]] = {
    "total": {"metrics": "product_impressions,product_clicks,ctr"},
    "by month": {"metrics": "product_impressions,product_clicks,ctr", "by": "month"},
    "by day": {"metrics": "product_impressions,product_clicks,ctr", "by": "day"},
    "by product": {"metrics": "product_impressions,product_clicks,ctr", "by": "product"},
    "people by day": {"metrics": "unique_product_impressions", "by": "day"},
}

_MIB: Final = 1 << 20


def measure(size: Size, *, days: int) -> dict[str, Any]:
    """Return the document.

    Args:
        size: of what the board reads from its topics.
        days: of the whole span; those before the size's own lie in files.
    """
    with tempfile.TemporaryDirectory(prefix="warroom-") as place:
        # In a process of its own: what drawing the days takes is not the board's.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            written = other.submit(write_days, Path(place), size, days - size.days).result()
        return {"days": days, "hot_days": size.days, **written, **_read_days(Path(place), size, days)}


def write_days(place: Path, size: Size, count: int) -> dict[str, Any]:
    """Write so many days before those of the size down into a folder; return what that takes a day."""
    drawn = ShopMonth(Size(DRAWN_DAYS + 1, size.lines // 10, size.events, size.shop))
    columns = Columns(_settings(FoldSettings().hot_days))
    source = DayFolder(place / "drawn")
    columns.read_history(source)
    for flush in drawn.flushes():
        columns.apply(flush)
    later_ms = drawn.now_ms + (FoldSettings().hot_days + 1) * DAY_MS
    archiver = Archiver(columns, source, lambda: later_ms, _at_once)
    archiver.begin()
    began_s = time.process_time()
    # The first step goes to the first day with a record.
    for _ in range(DRAWN_DAYS + 1):
        asyncio.run(archiver.advance(SHOP.shop_id, may=True))
    wrote_s = time.process_time() - began_s
    first = DAY - size.days - count + 1
    target = DayFolder(place / "history")
    days = sorted(source.days(SHOP.shop_id))
    files = [place / "drawn" / f"shop={SHOP.shop_id}" / f"{day_label(day)}.parquet" for day in days]
    frames = [pl.read_parquet(file) for file in files]
    for day in range(first, first + count):
        number = day % DRAWN_DAYS
        target.write(SHOP.shop_id, day, _moved(frames[number], day - days[number]), _definitions(), {})
    disk = sum(file.stat().st_size for file in files)
    return {
        "cells_a_day": round(sum(frame.height for frame in frames) / DRAWN_DAYS),
        "written_cpu_s_a_day": round(wrote_s / DRAWN_DAYS, 2),
        "file_mib_a_day": round(disk / DRAWN_DAYS / _MIB, 2),
        "people_mib_a_day": round(
            sum(frame["image"].bin.size().sum() or 0 for frame in frames) / DRAWN_DAYS / _MIB, 2
        ),
    }


def _read_days(place: Path, size: Size, days: int) -> dict[str, Any]:
    """Start a board beside the files, ask it, and return what that takes."""
    process = psutil.Process()
    month = ShopMonth(size)
    before_mib = process.memory_info().rss / _MIB
    folder = DayFolder(place / "history")
    look_s, _ = _timed(lambda: folder.look(SHOP.shop_id))
    columns = Columns(_settings(size.days))
    columns.read_history(folder)
    restored: dict[str, list[float]] = {"cells": [0, 0.0], "facts": [0, 0.0]}
    for flush in month.flushes():
        kind = "facts" if flush.facts else "cells"
        records = _restored(columns, flush)
        restored[kind][0] += records[0]
        restored[kind][1] += records[1]
    columns.apply(_early_positions(columns, days))
    columns.set_day_boundary(SHOP.shop_id, DAY - size.days + 1)
    tune_collector()
    loaded_mib = process.memory_info().rss / _MIB
    window = f"range:{day_label(DAY - days + 1)}..{day_label(DAY)}"
    asked, counted = {}, 0
    for name, words in QUESTIONS.items():
        request = parse_request({**words, "window": window})
        figures = {}
        for when in ("first", "changed", "same"):
            if when == "changed":
                for flush in month.second():
                    columns.apply(flush)
            cpu_s, wall_s = _timed(partial(run, columns, request, now_ms=month.now_ms))
            figures[f"{when}_cpu_ms"], figures[f"{when}_wall_ms"] = round(cpu_s * 1e3), round(wall_s * 1e3)
        if name == "by day":
            rows = run(columns, request, now_ms=month.now_ms).rows
            counted = sum(row["product_impressions"] > 0 for row in rows)
        asked[name] = {**figures, "rss_mib": round(process.memory_info().rss / _MIB)}
    return {
        "looked_cpu_ms": round(look_s * 1e3),
        "restored": {
            kind: {"records": round(records), "cpu_us_each": round(cpu_s / max(records, 1) * 1e6, 1)}
            for kind, (records, cpu_s) in restored.items()
        },
        "days_counted": counted,
        "rss_before_mib": round(before_mib),
        "rss_loaded_mib": round(loaded_mib),
        "questions": asked,
    }


def _settings(hot_days: int) -> Settings:
    return Settings(shops={SHOP.shop_id: SHOP}, fold=FoldSettings(hot_days=hot_days))


def _definitions() -> dict[str, str]:
    return {cube.name: cube.definition for cube in CUBE_BY_NAME.values()}


def _moved(cells: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return the cells of a day as those of another one."""
    of_days = [cube.name for cube in CUBE_BY_NAME.values() if cube.grain is Grain.DAY]
    step = pl.when(pl.col("cube").is_in(of_days)).then(days).otherwise(days * DAY_MS)
    return cells.with_columns(pl.col("bucket") + step)


def _restored(columns: Columns, flush: Flush) -> tuple[int, float]:
    """Read a flush from bytes and apply it, as a board does at its start; return records and processor time in s."""
    encoded = encode_flush(flush)
    began_s = time.process_time()
    for key, value in encoded.state:
        decode_state(key, value)
    for key, value in encoded.facts:
        decode_fact(key, value)
    columns.apply(flush)
    return len(encoded.state) + len(encoded.facts), time.process_time() - began_s


def _early_positions(columns: Columns, days: int) -> Flush:
    """Return the flush of a partition beside the month's, whose records began with the first day."""
    begin_ms = columns.calendar(SHOP.shop_id).day_start_ms(DAY - days + 1)
    topics = sorted({TOPIC_OF_TYPE[event_type] for event_type in TRAFFIC})
    span = {SHOP.shop_id: ShopSpan(begin_ms, begin_ms, 1)}
    positions = [Position(topic, 1, begin_ms, {Outcome.COUNTED: 1}, span) for topic in topics]
    partition = 1 + max(partition for partition, _ in columns.positions())
    return Flush(partition, 1, [], [], positions, [], [])


async def _at_once(work: Callable[[], T]) -> T:
    return work()


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Do work; return processor and wall time in s."""
    began = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - began[0], time.perf_counter() - began[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.history", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--days", type=int, default=HALF_A_YEAR, help="of the whole span")
    parser.add_argument("--hot-days", type=int, default=HOT_DAYS, help="of them not in files")
    parser.add_argument("--lines", type=int, default=50_000, help="order lines of the hot days")
    parser.add_argument("--events", type=int, default=Size().events, help="of traffic, of an ordinary day")
    options = parser.parse_args(arguments)
    use_one_heap()
    document = measure(Size(options.hot_days, options.lines, options.events), days=options.days)
    if options.json:
        print(json.dumps(document, indent=1))
        return 0
    questions = document.pop("questions")
    for name, value in document.items():
        print(f"{name:>20}  {value}")
    for name, figures in questions.items():
        print(f"{name:>20}  {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
