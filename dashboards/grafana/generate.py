"""Generate the Grafana dashboard from the catalogue: classic JSON, the form that file provisioning takes everywhere.

    python -m dashboards.grafana.generate

writes `generated/campaign-war-room.json`; a test compares it with what this module builds. PromQL is put together from
the series of `dashboards.series`; no metric name is typed here. Laid out for one 1080p screen, without autofit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dashboards import series
from streams.catalogue import METRICS, Unit

if TYPE_CHECKING:
    from dashboards.series import Series

    Json = dict[str, Any]

UID: Final = "campaign-war-room"
FOLDER_UID: Final = "war-room"
FOLDER_TITLE: Final = "War room"
OUTPUT: Final = Path(__file__).parent / "generated" / f"{UID}.json"

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

UNITS: Final = {Unit.MONEY: "locale", Unit.RATE: "percentunit", Unit.SECONDS: "s"}
"""Grafana's unit of a catalogue unit; money has no fixed currency here, the panel's description says whose."""

SCREEN_COLUMNS: Final = 24
SCREEN_ROWS: Final = 24
"""A grid row is 30 px high with its gap 38 px: 24 of them fill a 1080p screen below Grafana's bar."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel stands, in grid units."""

    x: int
    y: int
    w: int
    h: int


def selector(of: Series, **labels: str) -> str:
    """Return the PromQL selector of a series for the dashboard's job and shop.

    Raises:
        ValueError: a label that the series does not have.
    """
    unknown = set(labels) - set(of.labels)
    if unknown:
        what = f"{of.exposed} has no label {min(unknown)!r}"
        raise ValueError(what)
    matchers = ['job="$job"']
    if "shop" in of.labels:
        matchers.append('shop="$shop"')
    matchers += [f'{name}="{value}"' for name, value in labels.items()]
    return f"{of.exposed}{{{','.join(matchers)}}}"


def business(metric: str, window: str = "today", **labels: str) -> str:
    """Return the selector of a metric of the catalogue, over all slices unless one is named."""
    of = series.BUSINESS[metric]
    more = {"slice": "all", "window": window} if "window" in of.labels else {}
    return selector(of, **{**more, **labels})


def _target(expression: str, legend: str, *, instant: bool) -> Json:
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expression,
        "instant": instant,
        "legendFormat": legend,
        "range": not instant,
    }


def _panel(kind: str, title: str, description: str, place: Place, targets: list[Json], **more: Any) -> Json:
    for letter, target in zip("ABCDEFGH", targets, strict=False):
        target["refId"] = letter
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"h": place.h, "w": place.w, "x": place.x, "y": place.y},
        "targets": targets,
        **more,
    }


def _stat(metric: str, place: Place, window: str = "today", *, title: str = "") -> Json:
    entry = METRICS[metric]
    colour: Json = {"mode": "fixed", "fixedColor": "text"}
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value",
    }
    defaults = {
        "unit": UNITS.get(entry.unit, "locale"),
        "decimals": 1 if entry.unit is Unit.RATE else 0,
        "color": colour,
        "noValue": "no source",
    }
    return _panel(
        "stat",
        title or entry.title,
        series.BUSINESS[metric].help,
        place,
        [_target(business(metric, window), entry.title, instant=False)],
        fieldConfig={"defaults": defaults, "overrides": []},
        options=options,
    )


def _goal(place: Place) -> Json:
    metric = "goal_progress_pct"
    steps = [{"color": "blue", "value": None}, {"color": "green", "value": 1}]
    defaults = {
        "unit": "percentunit",
        "decimals": 0,
        "min": 0,
        "max": 1,
        "noValue": "no goal",
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    options = {
        "displayMode": "basic",
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "text",
    }
    return _panel(
        "bargauge",
        METRICS[metric].title,
        series.BUSINESS[metric].help,
        place,
        [_target(business(metric), "{{campaign}}", instant=True)],
        fieldConfig={"defaults": defaults, "overrides": []},
        options=options,
    )


def _lines(
    title: str, description: str, unit: str, place: Place, targets: list[Json], *, stacked: bool = False
) -> Json:
    custom = {
        "drawStyle": "line",
        "fillOpacity": 40 if stacked else 8,
        "lineWidth": 2,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    return _panel(
        "timeseries",
        title,
        description,
        place,
        targets,
        fieldConfig={"defaults": {"unit": unit, "custom": custom, "min": 0}, "overrides": []},
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def panels() -> list[Json]:
    """Return the panels of the first screen, large to small."""
    read, lag, last, ready = series.READ, series.LAG, series.LAST_EVENT, series.READY
    gmv = METRICS["gmv"]
    recent = METRICS["gmv_last_15m"]
    made = [
        _stat("gmv", Place(0, 0, 8, 6), title="GMV today"),
        _stat("gmv", Place(8, 0, 5, 3), "last_15m", title=recent.title),
        _stat("gmv", Place(8, 3, 5, 3), "reference", title="GMV of the reference by this time"),
        _goal(Place(13, 0, 11, 6)),
        *(
            _stat(metric, Place(4 * index, 6, 4, 4))
            for index, metric in enumerate(
                ("orders", "est_customers", "aov_revenue", "ctr", "ctor", "atc_rate")
            )
        ),
        _lines(
            "GMV today against the reference",
            gmv.definition,
            "locale",
            Place(0, 10, 12, 8),
            [
                _target(business("gmv"), "today", instant=False),
                _target(business("gmv", "reference"), "reference", instant=False),
            ],
        ),
        _lines(
            "GMV today by slice",
            "Slices overlap (Affiliate holds Affiliate LIVE; the Shop tab cuts across all): never add them up.",
            "locale",
            Place(12, 10, 12, 8),
            [_target(selector(series.BUSINESS["gmv"], window="today"), "{{slice}}", instant=False)],
        ),
        _lines(
            "Funnel today",
            "Impressions, clicks, add-to-cart and SKU orders since the shop's midnight.",
            "locale",
            Place(0, 18, 8, 6),
            [
                _target(business(metric), METRICS[metric].title, instant=False)
                for metric in ("product_impressions", "product_clicks", "atc_count", "sku_orders")
            ],
        ),
        _lines(
            "Records a second by topic",
            f"{read.help}",
            "short",
            Place(8, 18, 8, 6),
            [
                _target(
                    f"sum by (topic) (rate({selector(read)}[$__rate_interval]))",
                    "{{topic}}",
                    instant=False,
                )
            ],
            stacked=True,
        ),
        _lines(
            "Silence of each feed",
            "Seconds between the board's clock and the newest event of a topic.",
            "s",
            Place(16, 18, 5, 6),
            [_target(f"scalar({selector(series.NOW)}) - {selector(last)}", "{{topic}}", instant=False)],
        ),
        _panel(
            "stat",
            "Pipeline",
            f"{ready.help} {lag.help} {series.DROPPED.help}",
            Place(21, 18, 3, 6),
            [
                _target(selector(ready), "ready", instant=True),
                _target(selector(series.ALERTS), "alerts open", instant=True),
                _target(selector(series.DROPPED), "series dropped", instant=True),
            ],
            fieldConfig={
                "defaults": {"unit": "short", "color": {"mode": "fixed", "fixedColor": "text"}},
                "overrides": [],
            },
            options={
                "colorMode": "none",
                "graphMode": "none",
                "orientation": "horizontal",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "textMode": "value_and_name",
            },
        ),
    ]
    for number, panel in enumerate(made, start=1):
        panel["id"] = number
    return made


def dashboard() -> Json:
    """Return the whole dashboard."""
    ask_shops = f'label_values({series.SHOP_INFO.exposed}{{job="$job"}}, shop)'
    ask_jobs = f"label_values({series.READY.exposed}, job)"
    return {
        "uid": UID,
        "title": "Campaign war room",
        "description": "Generated from streams/catalogue.py by dashboards/grafana/generate.py: edit those, not this.",
        "tags": ["warroom", "generated"],
        "editable": False,
        "schemaVersion": 39,
        "version": 1,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": "now-24h", "to": "now"},
        "graphTooltip": 1,
        "links": [],
        "annotations": {
            "list": [
                {
                    "name": "Campaign",
                    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
                    "enable": True,
                    "iconColor": "blue",
                    "target": {"type": "tags", "tags": ["warroom"], "limit": 100, "matchAny": True},
                }
            ]
        },
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                },
                _variable("job", "Job", ask_jobs),
                _variable("shop", "Shop", ask_shops),
            ]
        },
        "panels": panels(),
    }


def _variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
