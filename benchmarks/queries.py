"""Ask every listed view of a board that goes on reading, and say how long each takes.

    python -m benchmarks.queries --json

A month of the reference shop (30 days, 2,000 products, 500 contents, 200 creators, 1.5 million order lines) is applied
to a board's columns as flushes, and every view of docs/VIEWS.md is asked with its own window. Before each question the
next second of a campaign day at 20,000 events a second is applied, so nothing that was worked out before is simply
handed out again; the same question straight after it is what a second reader waits. The first question of each view,
which works out all days that are over, is told apart.

Wall time is what a reader waits, processor time what the question costs on a machine that does other work too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import psutil

from agents.heap import use_one_heap
from agents.worker import tune_collector
from benchmarks.load import SHOP, product_id
from benchmarks.month_facts import Size
from benchmarks.shop_month import ShopMonth
from streams.columns import Columns
from streams.settings import Settings
from streams.views import VIEWS, run_view

OVERVIEWS: Final = ("overview", "daily", "goal")
"""What a wall shows all day: the campaign at a glance."""

OVERVIEW_MS: Final = 50
VIEW_MS: Final = 250
ROUNDS: Final = 20

_MIB: Final = 1 << 20


@dataclass(slots=True)
class Times:
    """How long questions took, ms: [wall, processor] each.

    Attributes:
        first: of the first question.
        changed: after a further second of events.
        same: of the same question straight after that.
    """

    first: list[tuple[float, float]] = field(default_factory=list)
    changed: list[tuple[float, float]] = field(default_factory=list)
    same: list[tuple[float, float]] = field(default_factory=list)


def measure(size: Size, *, rounds: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document.

    Args:
        size: of the shop.
        rounds: how often each view is asked after its first question.
        only: names of views; none is all.
    """
    process = psutil.Process()
    before_mib = process.memory_info().rss / _MIB
    month = ShopMonth(size)
    columns = Columns(Settings(shops={SHOP.shop_id: SHOP}))
    began_s = time.process_time()
    for flush in month.flushes():
        columns.apply(flush)
    built_s = time.process_time() - began_s
    tune_collector()
    loaded_mib = process.memory_info().rss / _MIB
    times, applied = ask(columns, month, rounds=rounds, only=only)
    views = {name: _figures(found) for name, found in times.items()}
    overviews = [times[name] for name in OVERVIEWS if name in times]
    return {
        "size": dataclasses.asdict(size),
        "order_lines": month.lines,
        "rows_of_cells": month.cells,
        "rounds": rounds,
        "build_cpu_s": round(built_s, 1),
        "second_applied_ms": _quantiles(applied),
        "views": views,
        "overviews": _figures_of_all(overviews),
        "all_views": _figures_of_all(list(times.values())),
        "rss_before_mib": round(before_mib),
        "rss_loaded_mib": round(loaded_mib),
        "rss_asked_mib": round(process.memory_info().rss / _MIB),
        "goals_ms": {"overviews": OVERVIEW_MS, "views": VIEW_MS},
        "slow_views": [
            name
            for name, figures in views.items()
            if rounds and figures["changed"]["p95_wall_ms"] > (OVERVIEW_MS if name in OVERVIEWS else VIEW_MS)
        ],
    }


def ask(
    columns: Columns, month: ShopMonth, *, rounds: int, only: Sequence[str] = ()
) -> tuple[dict[str, Times], list[tuple[float, float]]]:
    """Ask the views, and return the times of each and of applying a second."""
    times: dict[str, Times] = defaultdict(Times)
    applied: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        for name in only or VIEWS:
            began = _now()
            for flush in month.second():
                columns.apply(flush)
            applied.append(_since(began))
            found = times[name]
            (found.changed if number else found.first).append(_ask_once(columns, month, name))
            if number:
                found.same.append(_ask_once(columns, month, name))
    return times, applied


def _ask_once(columns: Columns, month: ShopMonth, name: str) -> tuple[float, float]:
    view = VIEWS[name]
    words = {each.name: product_id(0) for each in view.parameters if each.required}
    began = _now()
    run_view(columns, view, words, now_ms=month.now_ms)
    return _since(began)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    return (time.perf_counter() - began[0]) * 1e3, (time.process_time() - began[1]) * 1e3


def _figures(times: Times) -> dict[str, Any]:
    return {
        "first": _quantiles(times.first),
        "changed": _quantiles(times.changed),
        "same": _quantiles(times.same),
    }


def _figures_of_all(times: Sequence[Times]) -> dict[str, Any]:
    """Return the figures of several views, and the slowest one's 95th percentile."""
    every = Times()
    for found in times:
        every.first += found.first
        every.changed += found.changed
        every.same += found.same
    slowest = [_quantiles(found.changed) for found in times if found.changed]
    return {
        **_figures(every),
        "slowest_p95_wall_ms": max((figures["p95_wall_ms"] for figures in slowest), default=None),
        "slowest_p95_cpu_ms": max((figures["p95_cpu_ms"] for figures in slowest), default=None),
    }


def _quantiles(found: Sequence[tuple[float, float]]) -> dict[str, float]:
    if not found:
        return {}
    figures: dict[str, float] = {}
    for kind, values in zip(("wall", "cpu"), np.array(found).T, strict=True):
        for name, value in (("p50", np.quantile(values, 0.5)), ("p95", np.quantile(values, 0.95))):
            figures[f"{name}_{kind}_ms"] = round(float(value), 1)
        figures[f"max_{kind}_ms"] = round(float(values.max()), 1)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.queries", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--days", type=int, default=Size().days, help="with records")
    parser.add_argument("--lines", type=int, default=Size().lines, help="order lines of all days")
    parser.add_argument("--events", type=int, default=Size().events, help="of traffic, of an ordinary day")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="times that each view is asked")
    parser.add_argument(
        "--views", nargs="*", default=[], choices=list(VIEWS), help="only these", metavar="VIEW"
    )
    options = parser.parse_args(arguments)
    use_one_heap()
    size = Size(days=options.days, lines=options.lines, events=options.events)
    document = measure(size, rounds=options.rounds, only=options.views)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        _print(document)
    return 0


def _print(document: dict[str, Any]) -> None:
    print(f"{'':>18} {'first':>15} {'p50 changed':>15} {'p95 changed':>15} {'p95 same':>15}   ms: wall, cpu")
    rows = {**document["views"], "overviews": document["overviews"], "all views": document["all_views"]}
    for name, figures in rows.items():
        shown = [
            figures[when].get(f"{what}_{kind}_ms", 0.0)
            for when, what in (("first", "max"), ("changed", "p50"), ("changed", "p95"), ("same", "p95"))
            for kind in ("wall", "cpu")
        ]
        print(f"{name:>18} " + " ".join(f"{figure:7.1f}" for figure in shown))
    for name, value in document.items():
        if name not in ("views", "overviews", "all_views"):
            print(f"{name:>18}  {value}")


if __name__ == "__main__":
    sys.exit(main())
