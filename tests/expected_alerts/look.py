"""Look at the alerts of every kept rehearsal, and keep them.

    python -m tests.expected_alerts.look            what is different from what is kept
    python -m tests.expected_alerts.look --write    keep what is said now; look at the difference before you commit it

A file holds the alerts and, under `notes`, why each kind of them makes sense on that recording. Notes are written by
hand and stay; a kind without a note fails the test. Of digests only the times are kept: their text is held elsewhere.
"""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import json
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from replay.rehearsal import Rehearsal
from streams.alerts import Alert
from streams.rule import AlertRoute
from tests.expected_alerts.cases import CASES, Case

FOLDER: Final = Path(__file__).parent
NO_NOTE: Final = "LOOK AT IT"


def kept(case: Case) -> dict[str, Any]:
    """Return what is kept of a case; nothing before the first time."""
    path = FOLDER / f"{case.name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def said(found: Rehearsal, timezone: str) -> list[str]:
    """Return one line per alert, in the order in which they opened."""
    return [_line(alert, found.newest[alert.alert_id], timezone) for alert in found.opened]


def kinds(found: Rehearsal) -> list[str]:
    """Return the kinds of alerts that there are, for which a note must be kept, and `none` where there are none."""
    return sorted({_kind(alert) for alert in found.opened}) or ["none"]


def stock_outs(found: Rehearsal, timezone: str) -> list[str]:
    """Return one line per real stock-out: when, what, and how long before a page said so."""
    lines = []
    for out in found.stock_outs:
        lead = (
            "no page"
            if out.warned_ms is None
            else f"paged {round((out.at_ms - out.warned_ms) / 60_000)} min before"
        )
        lines.append(f"{_time(out.at_ms, timezone)} {out.sku_id}: {lead}")
    return lines


def _kind(alert: Alert) -> str:
    return "digest" if alert.route is AlertRoute.DIGEST else alert.rule


def _line(alert: Alert, newest: Alert, timezone: str) -> str:
    when = _time(alert.opened_at_ms, timezone)
    if alert.route is AlertRoute.DIGEST:
        return f"{when} digest"
    end = ""
    if newest.resolved_at_ms is not None and newest.resolution is not None:
        end = f" | closed {_time(newest.resolved_at_ms, timezone)} {newest.resolution.value}"
    return f"{when} {alert.route.value} {alert.rule} {alert.message}{end}"


def _time(at_ms: int, timezone: str) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)):%m-%d %H:%M}"


def text_of(case: Case, found: Rehearsal, timezone: str, notes: dict[str, str]) -> str:
    """Return the file of a case."""
    lines = [
        f"# {case.what}",
        "# Kept by `python -m tests.expected_alerts.look --write`; the notes are written by hand.",
        "",
        "[notes]",
        *(f"{_text(kind)} = {_text(notes.get(kind, NO_NOTE))}" for kind in kinds(found)),
        "",
        "[expected]",
        f"pages = {len(found.pages)}",
        *_list("stock_outs", stock_outs(found, timezone)),
        *_list("alerts", said(found, timezone)),
    ]
    return "\n".join([*lines, ""])


def _list(name: str, values: list[str]) -> list[str]:
    return [f"{name} = [", *(f"    {_text(value)}," for value in values), "]"]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> int:
    """Compare or keep; return 1 when something is different."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep what is said now")
    parser.add_argument("names", nargs="*", help="only these cases")
    given = parser.parse_args()
    different = 0
    for case in CASES:
        if given.names and case.name not in given.names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found, timezone = case.rehearsed(Path(scratch))
        path = FOLDER / f"{case.name}.toml"
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = text_of(case, found, timezone, kept(case).get("notes", {}))
        different += before != after
        sys.stdout.writelines(
            difflib.unified_diff(before.splitlines(True), after.splitlines(True), path.name, path.name)
        )
        if given.write:
            path.write_text(after, encoding="utf-8")
    return int(bool(different) and not given.write)


if __name__ == "__main__":
    sys.exit(main())
