"""The files of Grafana, Prometheus and Alertmanager, generated from the catalogue, the series and the alerts."""

from __future__ import annotations

from pathlib import Path

from dashboards.alertmanager import generate as alertmanager
from dashboards.grafana import generate as grafana
from dashboards.prometheus import generate as prometheus


def documents(_root: Path) -> dict[str, str]:
    """Return the text of each generated file by its path from the top of the checkout."""
    top = Path(grafana.__file__).resolve().parents[2]
    made = {
        alertmanager.CONFIG: alertmanager.text(),
        alertmanager.TEMPLATES: alertmanager.templates(),
        grafana.OUTPUT: grafana.text(),
        prometheus.OUTPUT: prometheus.text(),
    }
    return {path.resolve().relative_to(top).as_posix(): text for path, text in made.items()}
