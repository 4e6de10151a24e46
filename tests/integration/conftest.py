"""One real Kafka for all integration tests; each test has a world of its own by its prefix."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import pytest

from streams.settings import KafkaSettings, Settings
from tests import world
from tests.kafka_broker import KafkaBroker

_numbers: Final = itertools.count(1)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """A running broker; do not stop it, start one of your own for that."""
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def world_settings(kafka: KafkaBroker) -> Settings:
    """Settings with topics of their own; records keep the time that they are sent with."""
    number = next(_numbers)
    replay_id = f"t{number}"
    return Settings(
        shops={world.SHOP_ID: world.SHOP},
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap, app="test", prefix=f"replay.{replay_id}.", session_timeout_ms=6_000
        ),
        replay_id=replay_id,
    )
