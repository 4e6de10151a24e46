"""The one world of all features."""

from __future__ import annotations

import pytest

from tests.features.world import World, build


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("features") / "recording")
