"""Files that others run: compose, provisioning, Prometheus, what the page was given by others."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import series
from dashboards.alertmanager import generate as alertmanager
from dashboards.grafana import generate as grafana
from dashboards.prometheus import generate as prometheus
from dashboards.server import WEB_FOLDER
from streams.settings import BoardSettings, KafkaSettings
from warroom.cli import main
from warroom.configuration import load

ROOT = Path(__file__).resolve().parents[3]


def document(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


COMPOSE = document("docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_compose_has_everything_on_one_machine() -> None:
    assert list(SERVICES) == [
        "kafka",
        "topics",
        "worker",
        "board",
        "prometheus",
        "alertmanager",
        "grafana",
    ]


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_bound_to_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_and_every_service_comes_back(name: str) -> None:
    service = SERVICES[name]
    if "build" not in service:
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    assert service["restart"] in {"unless-stopped", "always", "on-failure"}


@pytest.mark.parametrize("name", ["kafka", "board", "prometheus", "alertmanager", "grafana"])
def test_what_serves_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_services_wait_for_what_they_need() -> None:
    assert SERVICES["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for name in ("worker", "board"):
        assert SERVICES[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


def test_every_file_and_volume_that_compose_names_is_there() -> None:
    made_by_the_user = {"./warroom.toml", "./.warroom/board-token", "./.warroom/alertmanager"}
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert source in made_by_the_user or (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} <= made_by_the_user


def test_commands_exist_and_variables_are_settings(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a token for this test alone", encoding="utf-8")
    secrets = {"/run/secrets/board_token": str(token)}
    for name in ("topics", "worker", "board"):
        assert SERVICES[name]["command"][0] in main.commands
        environment = {key: secrets.get(text, text) for key, text in SERVICES[name]["environment"].items()}
        environment["WARROOM_CONFIG"] = str(ROOT / "deploy/warroom.example.toml")
        settings = load(environment=environment)
        assert settings.kafka.bootstrap == "kafka:29092"
    assert settings.board.host == "0.0.0.0"  # noqa: S104 # inside the container; the token guards it
    assert settings.board.token_file == str(token)
    assert "board_token" in SERVICES["board"]["secrets"]
    assert settings.board.port == BoardSettings().port == 8321


def test_the_broker_is_the_one_that_the_settings_expect() -> None:
    environment = SERVICES["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert f"OUTSIDE://{KafkaSettings().bootstrap}" in environment["KAFKA_ADVERTISED_LISTENERS"]
    assert SERVICES["kafka"]["ports"] == [f"{KafkaSettings().bootstrap}:9092"]


def test_the_example_settings_name_a_shop() -> None:
    example = tomllib.loads((ROOT / "deploy/warroom.example.toml").read_text(encoding="utf-8"))
    assert set(example) == {"shops"}


def test_prometheus_scrapes_the_board_with_the_token_and_loads_our_rules() -> None:
    config = document("dashboards/prometheus/prometheus.yml")
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == prometheus.JOB]
    assert job["static_configs"][0]["targets"] == ["board:8321"]
    assert job["authorization"]["credentials_file"] == "/run/secrets/board_token"
    assert "board_token" in SERVICES["prometheus"]["secrets"]
    assert job["sample_limit"] >= BoardSettings().series_budget
    assert "./dashboards/prometheus/generated:/etc/prometheus/rules:ro" in SERVICES["prometheus"]["volumes"]
    assert config["rule_files"] == ["rules/*.rules.yml"]


def test_prometheus_and_board_tell_the_alertmanager_that_runs_our_configuration() -> None:
    config = document("dashboards/prometheus/prometheus.yml")
    (peers,) = config["alerting"]["alertmanagers"]
    assert peers["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == prometheus.ALERTMANAGER_JOB]
    assert job["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert SERVICES["board"]["environment"]["WARROOM_NOTIFY_ALERTMANAGER_URL"] == "http://alertmanager:9093"
    mounted = {volume.rsplit(":", 1)[0] for volume in SERVICES["alertmanager"]["volumes"]}
    assert f"./{alertmanager.FOLDER.relative_to(ROOT)}:/etc/alertmanager" in mounted
    assert f"./.warroom/alertmanager:{alertmanager.SECRETS}" in mounted


def test_grafana_is_given_the_datasource_and_the_generated_folder() -> None:
    (source,) = document("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = document("deploy/grafana/provisioning/dashboards/warroom.yml")["providers"]
    scrape = document("dashboards/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape
    assert (provider["folderUid"], provider["allowUiUpdates"]) == (grafana.FOLDER_UID, False)
    mounted = f"./dashboards/grafana/generated:{provider['options']['path']}:ro"
    assert mounted in SERVICES["grafana"]["volumes"]


# --- alerting rules -----------------------------------------------------------------------------------------------


def test_the_rules_are_what_their_generator_makes() -> None:
    assert prometheus.OUTPUT.read_text(encoding="utf-8") == prometheus.text(), "run: make generate"


@pytest.mark.parametrize("rule", prometheus.rules(), ids=lambda rule: rule.name)
def test_every_alert_says_what_how_urgent_and_what_to_do(rule: prometheus.Rule) -> None:
    made = rule.document()
    assert re.fullmatch(r"WarRoom([A-Z][a-z]+)+", rule.name)
    assert made["for"]
    assert made["labels"]["severity"] in {"page", "ticket", "none"}
    assert made["annotations"]["summary"].endswith(".")
    runbook = (ROOT / prometheus.RUNBOOK).read_text(encoding="utf-8")
    assert f"\n## {rule.name}\n" in runbook
    for name in re.findall(r"warroom_\w+", rule.expression):
        assert name in {one.exposed for one in series.HEALTH}, "rules on the pipeline's health alone"


# --- files of others ----------------------------------------------------------------------------------------------


def test_files_of_others_are_as_their_checksums_say_and_carry_their_licences() -> None:
    folder = WEB_FOLDER / "vendor"
    listed = {}
    for row in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        checksum, name = row.split()
        listed[name] = checksum
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in {"SHA256SUMS", "README.md"}
    }
    assert found == listed
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in found)


def test_the_page_loads_the_files_that_are_there() -> None:
    page = (WEB_FOLDER / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', page)
    assert loaded
    for name in loaded:
        assert (WEB_FOLDER / name).is_file(), name
    assert json.dumps(loaded).count("uPlot") == 2
