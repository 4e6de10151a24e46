"""Generate Alertmanager's configuration and message templates: who is told what, when, in how many messages.

    python -m dashboards.alertmanager.generate

writes `generated/alertmanager.yml` (JSON, which is YAML) and `generated/warroom.tmpl`; a test compares them with what
this module builds. Secrets are in files that Alertmanager reads, one per owner and receiver (docs/ALERTMANAGER.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dashboards.alertmanager.postable import GROUP_BY
from streams.alerts import LISTED_SKUS
from streams.rule import AlertRoute, Owner, Severity

if TYPE_CHECKING:
    Json = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "generated"
CONFIG: Final = FOLDER / "alertmanager.yml"
TEMPLATES: Final = FOLDER / "warroom.tmpl"

SECRETS: Final = "/run/secrets/alertmanager"

PIPELINE_OWNER: Final = Owner.PLATFORM
"""Who is told of the pipeline's health: Prometheus' own alerts name no owner."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast alerts of one kind are told, in Prometheus' durations.

    Attributes:
        wait: from the first alert of a group to its message.
        interval: from one message of a group to the next; also the time in which a failing receiver is tried.
        repeat: until what is still open is told again.
    """

    wait: str
    interval: str
    repeat: str


PACES: Final = {
    # 15 s gather what one evaluation finds, in all its requests, and leave 45 of the 60 s that a page may take for
    # fold, flush, evaluation and post. A minute holds a storm that goes on to one message a minute, lets a closing
    # wait no longer than that, and is when Slack is tried again after a 429, which Alertmanager does not do before.
    "page": Pace("15s", "1m", "4h"),
    # Read soon, by nobody at night: fewer and fuller messages.
    "channel": Pace("1m", "5m", "24h"),
    # Said once; it has ended long before it could be told again.
    "digest": Pace("15s", "5m", "24h"),
}


def config(
    *,
    secrets: str = SECRETS,
    pagerduty_url: str | None = None,
    paces: dict[str, Pace] = PACES,
    templates: str = "*.tmpl",
) -> Json:
    """Return Alertmanager's configuration.

    Args:
        secrets: folder of the secret files, as Alertmanager sees it.
        pagerduty_url: of the Events API v2; None: PagerDuty's own.
        paces: of `page`, `channel` and `digest`.
        templates: of the message templates, relative to the configuration.
    """
    document: Json = {
        "templates": [templates],
        "route": _tree(paces),
        "inhibit_rules": inhibitions(),
        "receivers": [
            {"name": "nobody"},
            *(receiver for owner in Owner for receiver in _receivers(owner.value, secrets)),
        ],
    }
    if pagerduty_url is not None:
        document["global"] = {"pagerduty_url": pagerduty_url}
    return document


def _tree(paces: dict[str, Pace]) -> Json:
    owners = [
        {
            "matchers": [f'owner="{owner.value}"'],
            "receiver": f"{owner.value}-channel",
            "routes": [
                _route(f'route="{AlertRoute.DIGEST.value}"', f"{owner.value}-digest", paces["digest"]),
                _route(f'severity="{Severity.PAGE.value}"', f"{owner.value}-page", paces["page"]),
            ],
        }
        for owner in Owner
    ]
    return {
        "receiver": f"{PIPELINE_OWNER.value}-channel",
        "group_by": list(GROUP_BY),
        **_pace(paces["channel"]),
        "routes": [
            # Always firing: give it a receiver of your own that calls when it does not hear from it.
            {"matchers": ['alertname="WarRoomWatchdog"'], "receiver": "nobody"},
            *owners,
            _route(f'severity="{Severity.PAGE.value}"', f"{PIPELINE_OWNER.value}-page", paces["page"]),
        ],
    }


def _route(matcher: str, receiver: str, pace: Pace) -> Json:
    return {"matchers": [matcher], "receiver": receiver, **_pace(pace)}


def _pace(pace: Pace) -> Json:
    return {"group_wait": pace.wait, "group_interval": pace.interval, "repeat_interval": pace.repeat}


def inhibitions() -> list[Json]:
    """Return who silences whom: a cause its symptom, the same fact the weaker word for it.

    Alertmanager does not tell of the end of what is muted, and forgets it: an incident that PagerDuty has open would
    stay open. So a page is muted only by what ends together with it (the board says a closing for a quarter hour).
    The forecast of a SKU that has run out stays open until it is back, and is muted only where it is no page. A
    stale feed mutes no rule that reads it: the board holds these, nothing of them opens or closes meanwhile.
    """
    no_page = f'severity!="{Severity.PAGE.value}"'
    page = f'severity="{Severity.PAGE.value}"'
    return [
        _mutes(['alertname="oos_now"'], ['alertname="oos_forecast"', no_page], "shop", "sku"),
        _mutes(
            ['alertname=~"oos_now|oos_forecast"', page],
            ['alertname="oos_demand"', no_page],
            "shop",
            "product",
        ),
        # A feed that is silent is late as well.
        _mutes(['alertname="feed_missing"'], ['alertname="today_stale"'], "shop", "topic"),
        # What no worker folds looks to the board like a feed that fell silent.
        _mutes(['alertname="WarRoomWorkerStopped"'], ['alertname=~"today_stale|feed_missing"']),
    ]


def _mutes(cause: list[str], symptom: list[str], *same: str) -> Json:
    return {"source_matchers": cause, "target_matchers": symptom, "equal": list(same)}


def _receivers(owner: str, secrets: str) -> list[Json]:
    slack = {
        "api_url_file": f"{secrets}/slack-url-{owner}",
        "send_resolved": True,
        "title": '{{ template "warroom.slack.title" . }}',
        "fallback": '{{ template "warroom.slack.summary" . }}',
        "text": '{{ template "warroom.slack.text" . }}',
        # Not "text": a name of a product is not markup.
        "mrkdwn_in": ["pretext"],
    }
    page = Severity.PAGE.value
    pagerduty = {
        "routing_key_file": f"{secrets}/pagerduty-key-{owner}",
        "send_resolved": True,
        "description": '{{ template "warroom.pagerduty.summary" . }}',
        "severity": f'{{{{ if eq .CommonLabels.severity "{page}" }}}}critical{{{{ else }}}}warning{{{{ end }}}}',
        "class": "{{ .CommonLabels.alertname }}",
        "component": "{{ .CommonLabels.shop }}",
        "group": "{{ .CommonLabels.campaign }}",
        # In place of Alertmanager's own, which hold every alert: PagerDuty takes 512 kB.
        "details": {
            "firing": '{{ template "warroom.pagerduty.list" .Alerts.Firing }}',
            "resolved": '{{ template "warroom.pagerduty.list" .Alerts.Resolved }}',
            "runbook": "{{ or .CommonAnnotations.runbook_url .CommonAnnotations.runbook }}",
            "board": "{{ .CommonAnnotations.dashboard_url }}",
        },
    }
    return [
        {"name": f"{owner}-page", "pagerduty_configs": [pagerduty], "slack_configs": [slack]},
        {"name": f"{owner}-channel", "slack_configs": [slack]},
        {"name": f"{owner}-digest", "slack_configs": [{**slack, "send_resolved": False}]},
    ]


def templates() -> str:
    """Return the message templates: the same texts for Slack and for PagerDuty.

    A list names `LISTED_SKUS` alerts by the rank that the board gave them, most money first, and counts the rest;
    alerts of Prometheus have no rank and are named in Alertmanager's order.
    """
    head = (
        "{{/* Generated by `python -m dashboards.alertmanager.generate`: edit generate.py, not this. */}}\n"
    )
    places = " ".join(f'"{place}"' for place in range(1, LISTED_SKUS + 1))
    made = [
        text.replace("FOR", receiver).replace("QUOTED", escape)
        for receiver, escape, texts in (
            ("slack", _SLACK_ESCAPE, (*_BOTH, _TEXT)),
            ("pagerduty", "", _BOTH),
        )
        for text in texts
    ]
    return head + "".join(made).replace("PLACES", places).replace("CAP", str(LISTED_SKUS))


_SLACK_ESCAPE: Final = ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'
"""What Slack would take for a mention or a link: `<!channel>` in a product's name must not ring everybody."""

_LINE: Final = """
{{ define "warroom.FOR.line" }}
- {{ or .Annotations.description .Annotations.summary .Labels.alertnameQUOTED }}{{ end }}
"""

_LIST: Final = """
{{ define "warroom.FOR.list" }}{{ $alerts := . }}{{ if $alerts -}}
{{ if (index $alerts 0).Labels.rule -}}
{{ range $place := stringSlice PLACES }}{{ range $alerts }}{{ if eq .Annotations.rank $place -}}
{{ template "warroom.FOR.line" . }}{{ end }}{{ end }}{{ end -}}
{{ else }}{{ range $at, $alert := $alerts }}{{ if lt $at CAP -}}
{{ template "warroom.FOR.line" $alert }}{{ end }}{{ end -}}
{{ end }}{{ if gt (len $alerts) CAP }}
and {{ len (slice $alerts CAP) }} more{{ end }}{{ end }}{{ end }}
"""

_TITLE: Final = """
{{ define "warroom.FOR.title" }}{{ with .CommonLabels.shop }}{{ .QUOTED }}{{ end -}}
{{ with .CommonLabels.campaign }} {{ .QUOTED }}{{ end }}{{ if .CommonLabels.shop }}: {{ end -}}
{{ or .CommonAnnotations.title .CommonLabels.alertnameQUOTED }}, {{ if .Alerts.Firing -}}
{{ len .Alerts.Firing }} open{{ if .Alerts.Resolved }}, {{ len .Alerts.Resolved }} closed{{ end -}}
{{ else }}{{ len .Alerts.Resolved }} closed{{ end }}{{ end }}
"""

_TEXT: Final = """
{{ define "warroom.FOR.text" }}{{ if .Alerts.Firing }}{{ template "warroom.FOR.list" .Alerts.Firing }}{{ end -}}
{{ if .Alerts.Resolved }}
Closed:{{ template "warroom.FOR.list" .Alerts.Resolved }}{{ end -}}
{{ with .CommonAnnotations.dashboard_url }}
Board: {{ .QUOTED }}{{ end -}}
{{ with or .CommonAnnotations.runbook_url .CommonAnnotations.runbook }}
Runbook: {{ .QUOTED }}{{ end }}{{ end }}
"""

_SUMMARY: Final = """
{{ define "warroom.FOR.summary" }}{{ if and (eq (len .Alerts) 1) .CommonAnnotations.description -}}
{{ .CommonAnnotations.descriptionQUOTED }}{{ else }}{{ template "warroom.FOR.title" . }}{{ end }}{{ end }}
"""

_BOTH: Final = (_LINE, _LIST, _TITLE, _SUMMARY)


def text() -> str:
    """Return the configuration file's content."""
    head = "# Generated by `python -m dashboards.alertmanager.generate`: edit generate.py, not this.\n"
    return head + json.dumps(config(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    CONFIG.write_text(text(), encoding="utf-8")
    TEMPLATES.write_text(templates(), encoding="utf-8")


if __name__ == "__main__":
    main()
