"""An alert as Alertmanager takes it: labels say which one it is, annotations say it to a person.

Labels decide identity: what changes while an incident is open must not be one, or it would close and open again. They
decide incidents too: Alertmanager groups by `GROUP_BY`, and PagerDuty's dedup key is a hash of the group, so that a
storm of SKUs is one incident of a rule, shop and campaign. Names and sentences are annotations; nothing personal is
ever a label.

Source: field-notes 2.2; https://prometheus.io/docs/alerting/latest/clients/
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from streams.alerts import DELIVERED_ROUTES, LISTED_SKUS, Alert, AlertState, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.settings import NotifySettings

GROUP_BY: Final = ("alertname", "shop", "campaign")
"""Labels that make one incident, and so one message, of many alerts."""

RUNBOOK: Final = "docs/RUNBOOK.md"
"""Where runbooks are while `notify.runbook_url` does not say it: in the checkout."""

RESOLVED_LIFE_MS: Final = 15 * 60_000
"""A resolve is posted again for so long, as Prometheus does: an Alertmanager that was restarted, or muted it for a
while, must still hear of it, or the incident stays open at PagerDuty."""

NOTICE_LIFE_MS: Final = 5 * 60_000
"""A notice has nothing that could close it: it ends so long after it was said, which no receiver is told."""

Labels = tuple[tuple[str, str], ...]
"""The label set of an alert, sorted: its identity in Alertmanager."""


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels of an alert, without those that are empty: to Alertmanager they are the same as none."""
    labels = {
        "alertname": alert.key or alert.rule,
        "rule": alert.rule,
        "shop": alert.shop_id,
        "campaign": alert.campaign_id,
        "severity": alert.severity.value,
        "owner": alert.owner.value,
        "route": alert.route.value,
        "product": alert.product_id,
        "sku": alert.sku_id,
    }
    # A topic or a stream has no label of its own above; shop and campaign have.
    labels.setdefault(alert.entity_kind, alert.entity_id)
    if alert.state is AlertState.NOTICE:
        # Two digests in a row would be one alert that goes on, and the second never told.
        labels["notice"] = str(alert.opened_at_ms)
    return {name: value for name, value in labels.items() if value}


def wanted(alerts: Iterable[Alert], *, now_ms: int) -> dict[Labels, Alert]:
    """Return what Alertmanager must know now, by label set, and of each the newest.

    What is open, what closed lately, what was said lately. An alert of a route that stays on the screen, and one that
    began and ended unseen, is told to nobody.

    Args:
        alerts: of all shops, any order.
        now_ms: the board's clock, which is the wall clock: nothing is posted on a replay.
    """
    newest: dict[Labels, Alert] = {}
    for alert in alerts:
        if alert.route not in DELIVERED_ROUTES or not _lives(alert, now_ms):
            continue
        labels = tuple(sorted(labels_of(alert).items()))
        known = newest.get(labels)
        # Of two incidents of one SKU, the first of which has just closed, only the second stands.
        if known is None or _standing(alert) > _standing(known):
            newest[labels] = alert
    return newest


def _lives(alert: Alert, now_ms: int) -> bool:
    if alert.state is AlertState.OPEN:
        return True
    if alert.state is AlertState.NOTICE:
        return now_ms - alert.opened_at_ms < NOTICE_LIFE_MS
    if alert.resolution is Resolution.MISSED:
        return False
    return now_ms - (alert.resolved_at_ms or alert.updated_at_ms) < RESOLVED_LIFE_MS


def _standing(alert: Alert) -> tuple[bool, int]:
    return alert.state is AlertState.OPEN, alert.updated_at_ms


def ranks(alerts: dict[Labels, Alert]) -> dict[Labels, int]:
    """Return the place by money, from 1, of those that a message of their group names; open and closed apart.

    Alertmanager lists a group by its labels, and its templates cannot sort: what is worth most would be among the
    "and 4,990 more".
    """
    groups: dict[tuple[object, ...], list[Labels]] = defaultdict(list)
    for labels, alert in alerts.items():
        named = dict(labels)
        groups[alert.state, *(named.get(name, "") for name in GROUP_BY)].append(labels)
    found: dict[Labels, int] = {}
    for members in groups.values():
        members.sort(key=lambda labels: (-alerts[labels].money_minor, labels))
        found |= {labels: place for place, labels in enumerate(members[:LISTED_SKUS], start=1)}
    return found


def postable(
    labels: Labels, alert: Alert, settings: NotifySettings, *, rank: int | None, ends_at_ms: int
) -> dict[str, Any]:
    """Return the JSON object of one alert for `POST /api/v2/alerts`.

    Args:
        labels: of `wanted`.
        alert: what it says.
        settings: where the board and the runbook are.
        rank: of `ranks`.
        ends_at_ms: when it ends unless it is posted again; of one that has ended: when it did.
    """
    title = alert.title or alert.key or alert.rule
    annotations = {
        "title": title,
        "summary": f"{alert.name}: {title}" if alert.name else title,
        "description": alert.message,
        "advice": alert.advice,
        "runbook_url": f"{settings.runbook_url or RUNBOOK}#{alert.runbook}" if alert.runbook else "",
        "dashboard_url": settings.board_url,
        "alert_id": alert.alert_id,
        "rank": "" if rank is None else str(rank),
    }
    return {
        "labels": dict(labels),
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": _instant(alert.opened_at_ms),
        # An end before the beginning is refused.
        "endsAt": _instant(max(ends_at_ms, alert.opened_at_ms)),
    }


def _instant(at_ms: int) -> str:
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
