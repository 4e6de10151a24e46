"""Ask a recording through the public way, `parse_request` and `run`, and lay answers beside an oracle's figures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from replay.direct import load_columns
from replay.recording import Recording
from streams.query import parse_request, run
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.columns import Columns

DATA = Path(__file__).parent / "data"
RAW = os.environ.get("WARROOM_ORACLE_RAW", "")
"""Folder with the whole raw files; when set, the oracles run over them too."""

MONEY = frozenset(
    {"gmv", "gmv_with_tax", "gmv_with_cofunding", "tax_paid", "shipping_fees_paid", "refunds_amount"}
)

Figures = Mapping[tuple[str, ...], Mapping[str, float | None]]


def raw_files(slice_name: str, full_name: str) -> list[Path]:
    """Return the committed slice and, where the raw files are, the whole file."""
    return [DATA / slice_name, *([Path(RAW) / full_name] if RAW else [])]


def columns_of(folder: Path) -> Columns:
    """Fold a recording by the direct engine."""
    recording = Recording.open(folder)
    return load_columns(recording, Settings().with_shops(recording.shops))


def ask(columns: Columns, metrics: Iterable[str], by: tuple[str, ...], **params: str) -> list[dict[str, Any]]:
    """Return the answer's rows for the whole recording."""
    (shop,) = columns.shops()
    wanted = {"metrics": ",".join(metrics), "by": ",".join(by), "window": "all", "shop": shop, **params}
    request = parse_request({name: value for name, value in wanted.items() if value})
    rows: list[dict[str, Any]] = run(columns, request, now_ms=columns.vouched_ms).document()["rows"]
    return rows


def differences(rows: list[dict[str, Any]], expected: Figures, by: tuple[str, ...]) -> list[str]:
    """Return every figure of an answer that is not the oracle's, for a person; a row of zeros may be missing."""
    found = {tuple(str(row[name]) for name in by): row for row in rows}
    faults = [f"{len(rows) - len(found)} rows repeat a key"] if len(found) < len(rows) else []
    for key in sorted(found.keys() | expected.keys()):
        place = "/".join(key) or "all"
        answer = found.get(key)
        for metric, figure in expected.get(key, {}).items():
            if answer is None and figure:
                faults.append(f"{place} {metric}: no such row, oracle {figure}")
            elif answer is not None and not same(metric, answer[metric], figure):
                faults.append(f"{place} {metric}: answered {answer[metric]}, oracle {figure}")
        if answer is not None and key not in expected:
            faults += [
                f"{place} {metric}: answered {value}, oracle knows no such row"
                for metric, value in answer.items()
                if metric not in by and value
            ]
    return faults


def same(metric: str, answered: float | None, figure: float | None) -> bool:
    """Compare money to the cent, rates to 12 digits, everything else exactly; null is not 0.

    Answers are whole cents, so less than a cent apart is equal, but where the raw lines hold parts of a cent.
    """
    if figure is None or answered is None:
        return figure is answered
    if metric in MONEY:
        whole = abs(answered * 100 - round(answered * 100)) < 1e-4
        return whole and abs(answered - figure) < 0.00999
    if not float(figure).is_integer():
        return abs(answered - figure) <= 1e-12 * abs(figure)
    return bool(answered == figure)


def read_raw(path: Path) -> pl.DataFrame:
    """Read a raw file as published."""
    return pl.read_parquet(path)
