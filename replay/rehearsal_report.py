"""What a rehearsal says: to a person as lines, to a program as a document."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from streams.alerts import clean_name
from streams.days import HOUR_MS, MINUTE_MS
from streams.errors import SettingsError
from streams.rule import AlertRoute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replay.rehearsal import Rehearsal
    from streams.alerts import Alert


@dataclass(frozen=True, slots=True)
class Change:
    """What another set of settings does to the pages.

    Attributes:
        added, removed: pages that only the changed settings, only the first ones send.
        moved: pages of both that open at another time, as (before, after).
    """

    added: tuple[Alert, ...]
    removed: tuple[Alert, ...]
    moved: tuple[tuple[Alert, Alert], ...]


def change_of(before: Rehearsal, after: Rehearsal) -> Change:
    """Compare the pages of two rehearsals of one day by their ids."""
    old = {page.alert_id: page for page in before.pages}
    new = {page.alert_id: page for page in after.pages}
    return Change(
        tuple(page for key, page in new.items() if key not in old),
        tuple(page for key, page in old.items() if key not in new),
        tuple(
            (old[key], page)
            for key, page in new.items()
            if key in old and old[key].opened_at_ms != page.opened_at_ms
        ),
    )


def headline(name: str, stock: str | None) -> str:
    """Return the first line: what is rehearsed, and whether its stocks are made up."""
    simulated = f" with SIMULATED STOCKS of {stock} of what was sold" if stock else ""
    return f"Rehearsal of {clean_name(name)}{simulated}: nothing is sent."


def share_of(text: str) -> float:
    """Return a share from `110%` or `1.1`.

    Raises:
        SettingsError: it is none, or not above 0.
    """
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 100:
        what = f"--stock {text!r} is no share."
        raise SettingsError(what, mend="Write 110% or 1.1: stock at the start by what was sold.")
    return share


def alert_line(alert: Alert) -> str:
    """Return one line about an alert as it opens: when, how it is told, which rule, what it says."""
    return f"{_local(alert.opened_at_ms, alert.timezone)} {alert.route.value:7} {alert.rule} {alert.message}"


def report_lines(found: Rehearsal, timezone: str) -> Iterator[str]:
    """Yield the summary of a rehearsal; the pages themselves are not in it."""
    routes = Counter(alert.route for alert in found.opened)
    days = max(1.0, (found.to_ms - found.from_ms) / (24 * HOUR_MS))
    pages = (
        f"{len(found.pages)} page{'' if len(found.pages) == 1 else 's'} ({len(found.pages) / days:.1f} a day)"
    )
    others = ", ".join(
        f"{routes[route]} {word}"
        for route, word in (
            (AlertRoute.CHANNEL, "to a channel"),
            (AlertRoute.DIGEST, "digests"),
            (AlertRoute.PANEL, "on the page only"),
        )
        if routes[route]
    )
    yield f"{pages}{', ' + others if others else ''}; {found.looks:,} looks at the rules"
    for hour_ms, count in sorted(pages_per_hour(found).items()):
        yield f"  {_local(hour_ms, timezone)} {count} page{'' if count == 1 else 's'} in that hour"
    yield from _stock_out_lines(found, timezone)
    never = [quiet for quiet in found.quiet if not quiet.could]
    if never:
        yield "Rules that never could fire:"
        yield from (f"  {quiet.rule} {quiet.key}: {quiet.why}" for quiet in never)
    silent = [quiet for quiet in found.quiet if quiet.could]
    if silent:
        yield "Rules that did not fire:"
        yield from (f"  {quiet.rule} {quiet.key}: {quiet.why}" for quiet in silent)


def change_lines(change: Change, what: str) -> Iterator[str]:
    """Yield what a change of settings adds to the pages and takes from them."""
    yield f"With {what}: {len(change.added)} more, {len(change.removed)} fewer, {len(change.moved)} at another time"
    yield from (f"  + {alert_line(page)}" for page in change.added)
    yield from (f"  - {alert_line(page)}" for page in change.removed)
    for before, after in change.moved:
        later_ms = after.opened_at_ms - before.opened_at_ms
        word = "later" if later_ms > 0 else "earlier"
        yield f"  ~ {_minutes(abs(later_ms))} {word}: {alert_line(after)}"


def pages_per_hour(found: Rehearsal) -> Counter[int]:
    """Return how many pages opened in each hour that has any, by the hour's start, ms."""
    return Counter(page.opened_at_ms // HOUR_MS * HOUR_MS for page in found.pages)


def document(found: Rehearsal) -> dict[str, Any]:
    """Return a rehearsal as JSON."""
    return {
        "from_ms": found.from_ms,
        "to_ms": found.to_ms,
        "looks": found.looks,
        "simulated_skus": found.simulated_skus,
        "alerts": [_alert_document(found, alert) for alert in found.opened],
        "pages_per_hour": {str(hour_ms): count for hour_ms, count in sorted(pages_per_hour(found).items())},
        "stock_outs": [
            asdict(out)
            | {
                "lead_ms": None if out.warned_ms is None else out.at_ms - out.warned_ms,
                "name": clean_name(out.name),
            }
            for out in found.stock_outs
        ],
        "quiet": [asdict(quiet) for quiet in found.quiet],
    }


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as JSON."""
    return {
        "added": [alert_line(page) for page in change.added],
        "removed": [alert_line(page) for page in change.removed],
        "moved": [
            {
                "alert_id": after.alert_id,
                "before_ms": before.opened_at_ms,
                "after_ms": after.opened_at_ms,
            }
            for before, after in change.moved
        ],
    }


def _alert_document(found: Rehearsal, alert: Alert) -> dict[str, Any]:
    newest = found.newest[alert.alert_id]
    return {
        "alert_id": alert.alert_id,
        "rule": alert.rule,
        "key": alert.key,
        "route": alert.route.value,
        "opened_at_ms": alert.opened_at_ms,
        "resolved_at_ms": newest.resolved_at_ms,
        "resolution": None if newest.resolution is None else newest.resolution.value,
        "name": alert.name,
        "message": alert.message,
    }


def _stock_out_lines(found: Rehearsal, timezone: str) -> Iterator[str]:
    outs = found.stock_outs
    if not outs:
        yield "Nothing ran out."
        return
    warned = [out for out in outs if out.warned_ms is not None]
    yield f"{len(outs)} SKU{'' if len(outs) == 1 else 's'} ran out, {len(warned)} of them foretold by a page:"
    for out in outs:
        if out.warned_ms is not None:
            said = f"paged {_minutes(out.at_ms - out.warned_ms)} before"
        elif out.eased_ms is not None:
            said = f"paged {_minutes(out.at_ms - out.eased_ms)} before, but that page had closed"
        elif out.digest_ms is not None:
            said = f"not paged, in a digest {_minutes(out.at_ms - out.digest_ms)} before"
        else:
            said = "not foretold"
        yield f"  {_local(out.at_ms, timezone)} {clean_name(out.name)}: {said}"


def table_of(alerts: Sequence[Alert]) -> Counter[tuple[str, str]]:
    """Return how many alerts opened by rule and route."""
    return Counter((alert.rule, alert.route.value) for alert in alerts)


def _local(at_ms: int, timezone: str) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)):%a %d %H:%M}"


def _minutes(ms: int) -> str:
    minutes = round(ms / MINUTE_MS)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
