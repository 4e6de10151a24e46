"""The servers that tests start: they answer, they end, and a broken one says why."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
import redis

from tests.processes import Prometheus, running, running_redis


def test_redis_answers_and_starts_empty(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.dbsize() == 0


def test_prometheus_answers_queries(prometheus_server: Prometheus) -> None:
    with urllib.request.urlopen(f"{prometheus_server.url}/api/v1/query?query=vector(1)", timeout=5) as answer:
        assert json.load(answer)["status"] == "success"


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_server_that_ends_at_once_fails_with_its_own_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo the port is taken; exit 3"]
    with (
        pytest.raises(pytest.fail.Exception, match="the port is taken"),
        running(command, log=tmp_path / "log", ready=lambda: False),
    ):
        pass


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    command = ["sh", "-c", f"trap '' TERM; touch {ready}; while true; do sleep 0.1; done"]
    with running(command, log=tmp_path / "log", ready=ready.exists, end_within_s=0.3) as process:
        pass
    assert process.returncode == -9
