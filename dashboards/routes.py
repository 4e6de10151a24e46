"""Which ways out there are, and which of them an incident takes.

Pages go along `notify.escalation`, one route after the other; channel messages and digests go to the owner's Slack
channel; a generic webhook takes every alert. With an Alertmanager, that is what tells Slack and PagerDuty.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dashboards import pagerduty
from dashboards.messages import slack_renderer, webhook_body
from dashboards.notifiers import HttpNotifier, Notifier
from dashboards.pagerduty import PagerDutyNotifier
from streams.errors import SettingsError
from streams.rule import AlertRoute, Owner

if TYPE_CHECKING:
    import aiohttp

    from streams.settings import NotifySettings

SLACK: Final = "slack"
WEBHOOK: Final = "webhook"


class Routing:
    """Choose routes by name.

    Args:
        names: of the configured routes that take incidents.
        escalation: routes of a page, in order.
    """

    def __init__(self, names: Collection[str], escalation: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._escalation = tuple(escalation)

    def ways(self, route: AlertRoute, owner: Owner) -> list[str]:
        """Return the routes of an incident: a page's in the order of its escalation, else the owner's channel."""
        channel = self._channel(owner)
        if route is not AlertRoute.PAGE:
            return [channel] if channel else []
        chain = [channel if name == SLACK else name for name in self._escalation]
        found = [name for name in dict.fromkeys(chain) if name in self._names]
        # A page must reach somebody, also when the escalation names only what is not configured.
        return found or [name for name in (pagerduty.ROUTE, channel) if name in self._names][:1]

    def _channel(self, owner: Owner) -> str:
        own = f"{SLACK}-{owner.value}"
        return own if own in self._names else SLACK if SLACK in self._names else ""


def notifiers_of(settings: NotifySettings, session: aiohttp.ClientSession) -> list[Notifier]:
    """Return the routes that the settings switch on.

    Raises:
        SettingsError: a file is missing or does not hold an http(s) URL or a key.
    """
    routes: list[Notifier] = []
    if not settings.alertmanager_url:
        routes += _people(settings, session)
    if settings.webhook_url_file:
        url = _url_in("webhook_url_file", settings.webhook_url_file)
        routes.append(HttpNotifier(WEBHOOK, url, session, webhook_body, per_alert=True))
    return routes


def _people(settings: NotifySettings, session: aiohttp.ClientSession) -> list[Notifier]:
    """Return the routes that ring people."""
    routes: list[Notifier] = []
    if settings.pagerduty_key_file:
        _checked_url("pagerduty_url", settings.pagerduty_url, "notify.pagerduty_url")
        key = _secret_in("pagerduty_key_file", settings.pagerduty_key_file)
        routes.append(PagerDutyNotifier(key, session, settings))
    files = {SLACK: ("slack_webhook_file", settings.slack_webhook_file)}
    files |= {
        f"{SLACK}-{owner}": (f"slack_owner_files.{owner}", file)
        for owner, file in settings.slack_owner_files.items()
    }
    render = slack_renderer(settings)
    routes += [
        HttpNotifier(name, _url_in(key, file), session, render) for name, (key, file) in files.items() if file
    ]
    return routes


def _secret_in(key: str, file: str) -> str:
    mend = f"Set notify.{key} to a file with one line, or leave it empty to switch the route off."
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"notify.{key}: the file {file} cannot be read ({type(error).__name__})."
        raise SettingsError(what, mend=mend) from error
    if not secret or not secret.isprintable():
        what = f"notify.{key}: the file {file} does not hold one line."
        raise SettingsError(what, mend=mend)
    return secret


def _url_in(key: str, file: str) -> str:
    return _checked_url(key, _secret_in(key, file), f"notify.{key}: the file {file}")


def _checked_url(key: str, url: str, place: str) -> str:
    """Return the URL, which is in no message: it may be a secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"{place} does not hold an http or https URL."
        raise SettingsError(what, mend=f"Set notify.{key} to one, or leave it empty to switch the route off.")
    return url
