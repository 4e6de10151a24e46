"""Generate Prometheus' alerting rules: on the pipeline's health alone, business rules are evaluated by the board.

    python -m dashboards.prometheus.generate

writes `generated/pipeline.rules.yml`; a test compares it with what this module builds. The file is JSON, which is YAML.
Every alert has a severity, a summary, a description and a runbook, whose heading is the alert's name (docs/RUNBOOK.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dashboards import series

if TYPE_CHECKING:
    Json = dict[str, Any]

OUTPUT: Final = Path(__file__).parent / "generated" / "pipeline.rules.yml"
JOB: Final = "warroom"
"""The scrape job of `prometheus.yml`; a test holds the two together."""

ALERTMANAGER_JOB: Final = "alertmanager"

RUNBOOK: Final = "docs/RUNBOOK.md"

NO_EVALUATION_S: Final = 120
"""Rules of the board that were not evaluated for this long cannot page: someone else must (design, decision 9)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule.

    Attributes:
        pending: how long the expression must hold first.
        severity: `page` wakes someone, `ticket` waits for the morning, `none` is the watchdog.
    """

    name: str
    expression: str
    pending: str
    severity: Literal["page", "ticket", "none"]
    summary: str
    description: str

    def document(self) -> Json:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.pending,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


def _of(name: str, *matchers: str) -> str:
    return name + "{" + ",".join((f'job="{JOB}"', *matchers)) + "}"


def rules() -> list[Rule]:
    """Return all rules, most urgent first."""
    dead = _of(series.DEAD.exposed)
    records = series.READ.exposed
    evaluated = f"max by (job) ({_of(series.EVALUATION.exposed)})"
    failed = f'alertmanager_notifications_failed_total{{job="{ALERTMANAGER_JOB}"}}'
    stopped = f"sum by (job, instance) (increase({_of(records)}[2m])) == 0"
    return [
        Rule(
            "WarRoomBoardDown",
            f"{_of('up')} == 0",
            "1m",
            "page",
            "The board does not answer.",
            "Prometheus could not scrape {{ $labels.instance }} for a minute: walls show their last values.",
        ),
        Rule(
            "WarRoomBoardMissing",
            f"absent({_of('up')})",
            "2m",
            "page",
            "Prometheus knows no board.",
            "There is no scrape target of the job; nothing watches the pipeline.",
        ),
        Rule(
            "WarRoomWorkerStopped",
            f"{_of(series.LAG.exposed)} > 0 and on (job, instance) ({stopped})",
            "1m",
            "page",
            "Records wait and no worker folds them.",
            "{{ $value }} records are not folded and none was for two minutes: the worker is down or stuck.",
        ),
        Rule(
            "WarRoomNotEvaluated",
            # Of several boards the one that holds the lease evaluates; when it changes hands, the newest counts.
            f"time() - {evaluated} > {NO_EVALUATION_S}",
            "0m",
            "page",
            "Stock, goals and rules are not evaluated.",
            "The last evaluation was {{ $value | humanizeDuration }} ago: no stock-out page can come.",
        ),
        Rule(
            "WarRoomNobodyEvaluates",
            # A board that does not hold the lease says nothing of evaluations, nor does one that has made none.
            f"max by (job) ({_of('up')}) == 1 unless on (job) {evaluated}",
            f"{NO_EVALUATION_S // 60}m",
            "page",
            "No board evaluates stock, goals and rules.",
            "Boards answer, and none of them has evaluated for two minutes: it loads, or none holds the lease.",
        ),
        Rule(
            "WarRoomNotificationsFail",
            f"sum by (integration) (increase({failed}[5m])) > 0",
            "5m",
            "page",
            "Alertmanager cannot tell {{ $labels.integration }}.",
            "{{ $value | humanize }} messages failed in five minutes: pages wait. It says why in its log.",
        ),
        Rule(
            "WarRoomNotReady",
            f"{_of(series.READY.exposed)} == 0",
            "5m",
            "ticket",
            "The board does not become whole.",
            "{{ $labels.instance }} has been reading state for five minutes.",
        ),
        Rule(
            "WarRoomDeadLettersRising",
            f"sum by (job, instance, topic) (increase({dead}[10m])) > 0",
            "5m",
            "ticket",
            "Records of {{ $labels.topic }} go to the dead letters.",
            "{{ $value | humanize }} records in ten minutes cannot count; `warroom dead-letters list` says why.",
        ),
        Rule(
            "WarRoomShopDisagrees",
            f"{_of(series.DISAGREES.exposed)} > 0",
            "1m",
            "ticket",
            "The record of {{ $labels.shop }} names another time zone or currency than the settings.",
            "The settings hold and nothing changed: days and money of this shop may not be what it thinks.",
        ),
        Rule(
            "WarRoomSeriesDropped",
            f"{_of(series.DROPPED.exposed)} > 0",
            "10m",
            "ticket",
            "Series are left out of /metrics.",
            "{{ $value }} series do not fit into board.series_budget: some shops are not in Prometheus.",
        ),
        Rule(
            "WarRoomWatchdog",
            "vector(1)",
            "0m",
            "none",
            "Always fires: its absence means that alerting is broken.",
            "Route it to a dead man's switch.",
        ),
    ]


def text() -> str:
    """Return the file's content."""
    head = "# Generated by `python -m dashboards.prometheus.generate`: edit generate.py, not this.\n"
    document = {"groups": [{"name": "warroom-pipeline", "rules": [rule.document() for rule in rules()]}]}
    return head + json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
