"""The two kinds of store, for tests that must hold on both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from dashboards.store import RedisStore, SqliteStore, Store
from tests.processes import Redis

KINDS: Final = ["sqlite", pytest.param("redis", marks=pytest.mark.integration)]


def store_maker(request: pytest.FixtureRequest, folder: Path) -> Callable[[str], Store]:
    """Return what opens the test's store of a name, of the kind that the fixture is at; each call a new connection."""
    if request.param == "sqlite":
        return lambda name: SqliteStore(folder / "outbox.sqlite3", name)
    server: Redis = request.getfixturevalue("redis_server")
    # One server serves all tests: each has names of its own.
    return lambda name: RedisStore(server.url, f"{folder}.{name}")
