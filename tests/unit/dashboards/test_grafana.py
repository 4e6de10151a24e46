"""The generated dashboard keeps the rules of grafana/dashboard-linter, restated, and our own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from grafana_client.client import GrafanaClientError, GrafanaServerError

from dashboards import series
from dashboards.grafana.generate import (
    DATASOURCE,
    FOLDER_UID,
    OUTPUT,
    SCREEN_COLUMNS,
    SCREEN_ROWS,
    UID,
    business,
    dashboard,
    selector,
    text,
)
from dashboards.grafana.publish import GrafanaPublisher
from streams.errors import UnavailableError

BOARD = dashboard()
PANELS: list[dict[str, Any]] = BOARD["panels"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


def test_the_file_is_what_the_catalogue_makes_of_it() -> None:
    assert OUTPUT.read_text(encoding="utf-8") == text(), "run: make generate"


def test_it_is_not_editable_has_a_stable_uid_and_refreshes_no_faster_than_a_scrape() -> None:
    assert (BOARD["editable"], BOARD["uid"], BOARD["refresh"]) == (False, UID, "15s")
    assert "id" not in BOARD


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_every_panel_has_title_description_unit_and_the_datasource_variable(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 10
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == DATASOURCE
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == DATASOURCE
        assert target["refId"]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_every_query_names_known_series_with_known_labels_and_the_job(title: str, expression: str) -> None:
    declared = {one.exposed: one for one in series.ALL}
    found = re.findall(r"(warroom_\w+)\{([^}]*)\}", expression)
    assert found, title
    assert len(found) == expression.count("warroom_"), "every series has a selector"
    for name, matchers in found:
        labels = set(re.findall(r'(\w+)=~?"', matchers))
        assert "job" in labels
        assert labels - {"job"} <= set(declared[name].labels)


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_counters_are_only_read_as_rates_and_gauges_never(title: str, expression: str) -> None:
    for one in series.ALL:
        if f"{one.exposed}{{" in expression:
            assert ("rate(" in expression or "increase(" in expression) == (one.kind == "counter"), title
    if "rate(" in expression:
        assert "$__rate_interval" in expression


def test_panels_fit_one_screen_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert taken == {(x, y) for x in range(SCREEN_COLUMNS) for y in range(SCREEN_ROWS)}


def test_a_label_that_a_series_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="topic"):
        selector(series.BUSINESS["gmv"], topic="orders")
    assert business("gmv") == 'warroom_gmv{job="$job",shop="$shop",slice="all",window="today"}'


def test_the_file_holds_no_data_and_no_address() -> None:
    content = OUTPUT.read_text(encoding="utf-8")
    assert json.loads(content) == BOARD
    assert "http" not in content


def refusal(status: int) -> Exception:
    """Return what grafana-client raises for a status."""
    kind: Any = GrafanaClientError if status < 500 else GrafanaServerError
    error: Exception = kind(status, {}, "no")
    return error


class Group:
    """One element group of a Grafana that remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            self.asked.append((name, args or more))
            answer = self._answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class FakeGrafana:
    def __init__(self, **folder: Any) -> None:
        self.folder = Group({"get_folder": {}, "create_folder": {}} | folder)
        self.dashboard = Group({"update_dashboard": {"url": f"/d/{UID}"}})
        self.annotations = Group({"add_annotation": {}})


def test_publishing_writes_over_the_uid_in_our_folder() -> None:
    grafana = FakeGrafana()
    assert GrafanaPublisher(grafana).publish() == f"/d/{UID}"
    assert [name for name, _ in grafana.folder.asked] == ["get_folder"]
    ((_, (sent,)),) = grafana.dashboard.asked
    assert (sent["folderUid"], sent["overwrite"], sent["dashboard"]["uid"]) == (FOLDER_UID, True, UID)
    assert sent["dashboard"]["id"] is None


def test_a_missing_folder_is_made_and_another_refusal_is_told() -> None:
    grafana = FakeGrafana(get_folder=refusal(404))
    GrafanaPublisher(grafana).publish()
    assert [name for name, _ in grafana.folder.asked] == ["get_folder", "create_folder"]
    for error in (refusal(403), refusal(502), ConnectionError()):
        with pytest.raises(UnavailableError):
            GrafanaPublisher(FakeGrafana(get_folder=error)).publish()


def test_a_note_marks_a_span_of_the_dashboard() -> None:
    grafana = FakeGrafana()
    GrafanaPublisher(grafana).note("flash sale", at_ms=1, until_ms=2)
    ((_, sent),) = grafana.annotations.asked
    assert sent == {
        "dashboard_uid": UID,
        "time_from": 1,
        "time_to": 2,
        "tags": ["warroom"],
        "text": "flash sale",
    }
