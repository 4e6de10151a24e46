"""What tests of the HTTP side share: a client of a board that is served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dashboards.server import Extras, build_app
from tests.unit.dashboards.shops import FixedBoard

Client = TestClient[Any, Any]
Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Serve the boards that a test gives, and return a client of each."""
    clients: list[Client] = []

    async def start(board: FixedBoard, extras: Extras | None = None) -> Client:
        client: Client = TestClient(TestServer(build_app(board, extras)))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
