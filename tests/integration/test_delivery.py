"""Boards that are killed while they deliver: on real processes, Redis and sockets.

Whoever is killed, before or after the receiver's answer, and whoever goes on, on the same machine with the same folder
or on another one with the same Redis: a key opens once and closes once.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from streams.alerts import Alert, encode_alert
from tests.delivering import FileBoard, Nowhere
from tests.processes import Redis, end
from tests.receivers import PagerDuty, Receiver, Slack
from tests.unit.dashboards.receivers import page, resolved
from warroom.running import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

REPOSITORY = Path(__file__).parents[2]


class Deadly(PagerDuty):
    """Kills who delivers while it takes an event: before it answers, then after, in turn, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times
        self.boards: list[subprocess.Popen[bytes]] = []

    def url_of(self, number: int) -> str:
        """Return where one board sends, which says who it was."""
        return f"{self.base}/{number}"

    async def _take(self, request: web.Request) -> web.Response:
        answer = await super()._take(request)
        board = self.boards[int(request.match_info["path"])]
        # Of several events that came at once from one board, the first ends it.
        if self.left and board.poll() is None:
            self.left -= 1
            if self.left % 2:
                kill(board)
            else:
                # The answer is on its way; whether it was noted, nobody knows.
                asyncio.get_running_loop().call_later(0.002, kill, board)
        return answer


def kill(board: subprocess.Popen[bytes]) -> None:
    board.send_signal(signal.SIGKILL)
    board.wait()


class Boards:
    """Starts boards that deliver to a receiver, each in a folder of its own where they share a Redis."""

    def __init__(self, folder: Path, receiver: Deadly, redis: Redis | None, stack: ExitStack) -> None:
        self._folder, self._receiver, self._redis, self._stack = folder, receiver, redis, stack
        self._alerts = folder / "alerts.jsonl"
        (folder / "key").write_text("R0UT1NG")
        self.tell()

    def tell(self, *alerts: Alert) -> None:
        """Put alerts on the boards, newest version of each."""
        fresh = self._alerts.with_suffix(".new")
        fresh.write_bytes(b"".join(encode_alert(alert) + b"\n" for alert in alerts))
        fresh.replace(self._alerts)

    def start(self) -> None:
        """Start one more board."""
        number = len(self._receiver.boards)
        own = f"machine-{number}" if self._redis else "machine"
        board = {
            "port": 0,
            "data_dir": str(self._folder / own),
            "redis_url": self._redis.url if self._redis else "",
        }
        notify: dict[str, Any] = {
            "pagerduty_key_file": str(self._folder / "key"),
            "pagerduty_url": self._receiver.url_of(number),
            "retry_first_ms": 100,
            "group_wait_ms": 200,
        }
        # Every test has a world of its own in the shared Redis.
        kafka = {"app": self._folder.name}
        settings = self._folder / f"settings-{number}.json"
        settings.write_text(json.dumps({"board": board, "notify": notify, "kafka": kafka}))
        log = (self._folder / f"board-{number}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.delivering", str(settings), str(self._alerts)],
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._stack.callback(end, process)
        self._receiver.boards.append(process)

    def alive(self) -> int:
        """Return how many boards run."""
        return sum(board.poll() is None for board in self._receiver.boards)


@pytest.fixture(params=["a folder", "redis"])
def redis(request: pytest.FixtureRequest) -> Redis | None:
    return None if request.param == "a folder" else request.getfixturevalue("redis_server")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def kept_running(boards: Boards, wanted: int) -> None:
    """Start boards anew as they are killed, as a supervisor would."""
    while True:
        while boards.alive() < wanted:
            boards.start()
        await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_key_opens_once_and_closes_once_whoever_is_killed(
    tmp_path: Path, redis: Redis | None, stack: ExitStack
) -> None:
    async with Deadly(times=6) as receiver:
        boards = Boards(tmp_path, receiver, redis, stack)
        supervising = asyncio.create_task(kept_running(boards, 2 if redis else 1))
        boards.tell(page(1, at_ms=now_ms()), page(2, at_ms=now_ms()))
        await receiver.until(lambda: receiver.opened() == 2, within_s=60)
        boards.tell(resolved(1, at_ms=now_ms()), resolved(2, at_ms=now_ms()))
        # Half of the kills come before an answer, so that four events are not told without all of them.
        await receiver.until(lambda: receiver.closed() == 2 and not receiver.left, within_s=60)
        # Whatever a board has still to say, it says within a few looks.
        await asyncio.sleep(5)
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising
        assert sorted(receiver.verdict()) == [(1, 1), (1, 1)]
        assert {body["dedup_key"] for body in receiver.accepted} == {page(1).alert_id, page(2).alert_id}
        assert len(receiver.boards) >= 7


@pytest.mark.parametrize("replay_id", ["", "friday"])
async def test_a_replay_with_live_receivers_sends_nothing(tmp_path: Path, replay_id: str) -> None:
    async with PagerDuty() as pagerduty, Slack() as slack, Receiver() as hook:
        files = {"key": "R0UT1NG", "slack": slack.url, "hook": hook.url}
        for name, secret in files.items():
            write(tmp_path / name, secret)
        notify = {
            "pagerduty_key_file": str(tmp_path / "key"),
            "pagerduty_url": pagerduty.url,
            "slack_webhook_file": str(tmp_path / "slack"),
            "webhook_url_file": str(tmp_path / "hook"),
            "group_wait_ms": 0,
            "escalate_after_ms": 0,
        }
        board = {"port": 0, "data_dir": str(tmp_path)}
        write(tmp_path / "settings.json", json.dumps({"board": board, "notify": notify}))
        write(tmp_path / "alerts.jsonl", encode_alert(page(at_ms=now_ms())).decode())
        playing = FileBoard(tmp_path / "settings.json", tmp_path / "alerts.jsonl")
        playing.replay_id = replay_id
        async with serving(playing, Nowhere()):
            if replay_id:
                await asyncio.sleep(3)
                assert pagerduty.requests == slack.requests == hook.requests == []
            else:
                # The same board, live: what would have been sent.
                await pagerduty.until(lambda: bool(pagerduty.requests), within_s=10)
                await slack.until(lambda: bool(slack.requests), within_s=10)
                await hook.until(lambda: bool(hook.requests), within_s=10)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
