"""What the receivers read: text for people, JSON for programs. Foreign text is escaped here, for each receiver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streams.alerts import LISTED_SKUS, Alert, AlertState, listed
from streams.incidents import IncidentState, Telling, money_of
from streams.money import compact_money
from streams.rule import AlertRoute

if TYPE_CHECKING:
    from streams.settings import NotifySettings

WEBHOOK_VERSION: Final = 1
FULL_ALERTS: Final = 100
"""Alerts given in full in one webhook body; of the others the body names key and state."""

SLACK_CHARACTERS: Final = 3_500
"""Slack cuts a message at 4,000; ours ends before that, with the number of what is left out."""


def escape_slack(text: str) -> str:
    """Return text that Slack shows as it is: `<!channel>` in a product's name must not ring everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def summary_of(telling: Telling) -> str:
    """Return one incident in one line: the message of its only alert, or how many there are of what."""
    alerts = telling.alerts
    if telling.state is IncidentState.ACKNOWLEDGED:
        return f"{telling.by} has taken on: {alerts[0].message}"
    before = "Not acknowledged in time: " if telling.escalated and telling.state is IncidentState.OPEN else ""
    if len(alerts) == 1:
        return before + alerts[0].message
    first = alerts[0]
    what = f"{first.title or first.key} ({first.rule})" if first.title or first.key else first.rule
    where = f"{first.shop_id}, campaign {first.campaign_id}" if first.campaign_id else first.shop_id
    if telling.state is IncidentState.RESOLVED:
        return f"Closed: all {len(alerts):,} alerts. {what}, {where}."
    money = sum(money_of(alert) for alert in alerts)
    at_stake = f" {compact_money(money, first.currency)} at stake." if money else ""
    return f"{before}{len(alerts):,} alerts at once. {what}, {where}.{at_stake}"


def lines_of(telling: Telling, most: int = LISTED_SKUS) -> tuple[list[str], int]:
    """Return the messages of a group's first members, and how many members are not among them."""
    if len(telling.alerts) == 1 or telling.state is not IncidentState.OPEN:
        return [], 0
    return [alert.message for alert in telling.alerts[:most]], max(0, len(telling.alerts) - most)


def text_of(tellings: Sequence[Telling]) -> str:
    """Return a batch as plain text: pages first, each incident with its first members, lists capped by "and n more"."""
    if len(tellings) == 1:
        return "\n".join(_paragraph(tellings[0]))
    ordered = sorted(
        tellings,
        key=lambda each: (
            each.alerts[0].route is not AlertRoute.PAGE,
            each.state is not IncidentState.OPEN,
            -money_of(each.alerts[0]),
        ),
    )
    opened = sum(each.state is IncidentState.OPEN for each in tellings)
    closed = sum(each.state is IncidentState.RESOLVED for each in tellings)
    head = f"{tellings[0].alerts[0].shop_id}: {opened:,} alert{'s' if opened != 1 else ''}, {closed:,} closed"
    lines = [head]
    for telling in ordered[:LISTED_SKUS]:
        first, *rest = _paragraph(telling)
        lines += [f"- {first}", *(f"  {line}" for line in rest)]
    more = len(tellings) - LISTED_SKUS
    return "\n".join([*lines, *([listed([], more).strip()] if more > 0 else [])])


def _paragraph(telling: Telling) -> list[str]:
    shown, more = lines_of(telling)
    tail = [listed([], more).strip()] if more else []
    return [summary_of(telling), *(f"- {line}" for line in shown), *tail]


def slack_body(tellings: Sequence[Telling], *, board_url: str = "") -> bytes:
    """Return the body for a Slack incoming webhook; foreign text is neither markup nor a link to unfurl."""
    lines = text_of(tellings).split("\n")
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(escape_slack(line)) + 1
        if size > SLACK_CHARACTERS and kept:
            kept.append(f"and {len(lines) - len(kept):,} more lines")
            break
        kept.append(line)
    pages = any(
        each.alerts[0].route is AlertRoute.PAGE and each.state is IncidentState.OPEN for each in tellings
    )
    if board_url and pages:
        kept.append(f"Acknowledge: {board_url}")
    return msgspec.json.encode(
        {
            "text": escape_slack("\n".join(kept)),
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
    )


def slack_renderer(settings: NotifySettings) -> Callable[[Sequence[Telling]], bytes]:
    """Return `slack_body` with the board's address, where people have one."""
    return lambda tellings: slack_body(tellings, board_url=settings.board_url)


def webhook_body(tellings: Sequence[Telling]) -> bytes:
    """Return the body for a generic webhook, as described in docs/DELIVERY.md."""
    alerts: list[Alert] = [alert for each in tellings for alert in each.alerts]
    rest = alerts[FULL_ALERTS:]
    body: dict[str, Any] = {
        "version": WEBHOOK_VERSION,
        "shop_id": alerts[0].shop_id,
        "text": text_of(tellings),
        "alerts": [msgspec.to_builtins(alert) for alert in alerts[:FULL_ALERTS]],
        "more": [{"alert_id": alert.alert_id, "state": _state(alert)} for alert in rest],
    }
    return msgspec.json.encode(body)


def _state(alert: Alert) -> str:
    return AlertState(alert.state).value
