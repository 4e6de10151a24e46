"""What holds for every test: order, skips, and the tools that integration tests start."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.processes import Prometheus, Redis, running_prometheus, running_redis

SEED_VARIABLE: Final = "WARROOM_TEST_SEED"
NO_SKIPS_VARIABLE: Final = "WARROOM_NO_SKIPS"

INTEGRATION_FOLDERS: Final = frozenset({"integration", "browser", "soak"})

# On shared cores an example may wait for seconds: time is the business of pytest-timeout and of the benchmarks.
settings.register_profile("warroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("warroom")


def pytest_configure(config: pytest.Config) -> None:
    # Before xdist starts its workers, which inherit it: all of them must see one order.
    os.environ.setdefault(SEED_VARIABLE, str(random.randrange(1_000_000)))


def pytest_report_header(config: pytest.Config) -> str:
    seed = os.environ[SEED_VARIABLE]
    return f"test order: seed {seed} ({SEED_VARIABLE}={seed} repeats it)"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle files, and tests within a file: a test that needs another to run before it is broken.

    Files stay together, so that what is started once for a file is; integration comes last, as it takes longest. Of
    either, files with a slow test come first: of processes that share the tests, none is left alone with one at the end
    (xdist's own order, `--loadscope-reorder`, puts files of few tests last). Runs before pytest's own grouping by
    fixture.
    """
    order = random.Random(os.environ[SEED_VARIABLE])
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if INTEGRATION_FOLDERS & set(item.path.parts):
            item.add_marker(pytest.mark.integration)
        files.setdefault(item.path, []).append(item)
    shuffled = list(files.values())
    order.shuffle(shuffled)
    for tests in shuffled:
        order.shuffle(tests)
    shuffled.sort(key=lambda tests: (_any(tests, "integration"), not _any(tests, "slow")))
    items[:] = [test for tests in shuffled for test in tests]


def _any(tests: list[pytest.Item], marker: str) -> bool:
    return any(test.get_closest_marker(marker) for test in tests)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in which a test was skipped where nothing may be: CI must not be green on what it left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get(NO_SKIPS_VARIABLE) or reporter is None or exitstatus:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped:
        reporter.write_line(f"{len(skipped)} skipped, and {NO_SKIPS_VARIABLE} allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis of its own on loopback, empty at first."""
    with running_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
def prometheus_server(tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus of its own on loopback that scrapes itself only."""
    with running_prometheus(tmp_path) as prometheus:
        yield prometheus
