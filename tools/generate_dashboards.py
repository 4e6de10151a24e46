"""The files of Grafana and Prometheus that are generated from the catalogue and the series."""

from __future__ import annotations

from pathlib import Path

from dashboards.grafana import generate as grafana
from dashboards.prometheus import generate as prometheus


def documents(_root: Path) -> dict[str, str]:
    """Return the text of each generated file by its path from the top of the checkout."""
    top = Path(grafana.__file__).resolve().parents[2]
    return {
        grafana.OUTPUT.resolve().relative_to(top).as_posix(): grafana.text(),
        prometheus.OUTPUT.resolve().relative_to(top).as_posix(): prometheus.text(),
    }
