"""`warroom worker`, `board`, `up` and `topics`: processes that run until they are told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
from aiohttp import web

from agents import processes, topics
from agents import worker as workers
from agents.board import KafkaBoard
from agents.evaluation import Evaluator, Sink
from agents.lease import Lease, lease_name
from agents.outputs import Outputs
from dashboards.alertmanager.poster import Poster, addresses
from dashboards.desk import Desk
from dashboards.outbox import Outbox
from dashboards.routes import notifiers_of
from dashboards.server import Extras, build_app
from dashboards.store import stores_beside
from dashboards.warming import warm
from streams.board import Board, KeepsHistory, PublishesCampaigns
from streams.errors import SettingsError, UnavailableError
from streams.settings import Settings
from warroom.asking import recorded
from warroom.configuration import for_replay

logger = logging.getLogger(__name__)

END_ANSWERS_S = 3.0
"""Who waits for an answer when the board is told to end, or takes an export slowly, is sent away after this."""


def clock_ms() -> int:
    """Return the wall clock in ms since the epoch."""
    return time.time_ns() // 1_000_000


def needs_shops(settings: Settings) -> Settings:
    """Return the settings, or say that no shop is configured: every record would be rejected."""
    if not settings.shops:
        what = "No shop is configured: there is no [shops.<id>] in warroom.toml."
        raise SettingsError(what, mend="Add one, such as [shops.my_shop] with timezone and currency.")
    return settings


async def topics_report(settings: Settings, replay_id: str, *, create: bool) -> dict[str, str]:
    """Create what is missing, check everything, and return what is said of each topic."""
    settings = for_replay(settings, replay_id)
    created = set(await topics.ensure(settings)) if create else set()
    if not create:
        await topics.check(settings)
    return {
        plan.name: "created" if plan.name in created else "as it must be" for plan in topics.plan(settings)
    }


def run_worker(settings: Settings, replay_id: str) -> int:
    """Run a worker, on several cores where there are, until SIGTERM or Ctrl-C; return its exit code."""
    settings = for_replay(needs_shops(settings), replay_id)
    number = processes.count(settings)
    return workers.run(settings) if number == 1 else processes.run(settings, number)


async def run_board(
    settings: Settings, replay_id: str, *, with_worker: bool, against: Path | None = None
) -> int:
    """Serve a board until SIGTERM or Ctrl-C, with a worker beside it for `up`; return the exit code.

    Args:
        settings: of both.
        replay_id: of the world that is shown; empty: the live one.
        with_worker: for `up`.
        against: the recording that `compare=recording:...` means.
    """
    settings = for_replay(needs_shops(settings), replay_id)
    told = stop_event()
    beside = await asyncio.to_thread(recorded, against, settings)
    async with contextlib.AsyncExitStack() as stack:
        ended: Awaitable[int] = asyncio.get_running_loop().create_future()
        if with_worker:
            for name in await topics.ensure(settings):
                click.echo(f"created topic {name}")
            worker = await workers.start(settings)
            stack.push_async_callback(worker.stop)
            ended = worker.wait()
        else:
            await topics.check(settings)
        board = KafkaBoard(settings, clock_ms)
        board.columns.beside = beside
        outputs = Outputs(settings.kafka)
        await board.start()
        stack.push_async_callback(board.stop)
        await outputs.start()
        stack.push_async_callback(outputs.stop)
        click.echo(await stack.enter_async_context(serving(board, outputs)))
        return await first_of(stopped(told), ended)


@contextlib.asynccontextmanager
async def serving(
    board: Board, sink: Sink, *, looked: Callable[[int], None] | None = None
) -> AsyncIterator[str]:
    """Evaluate, deliver and serve the page of a board; yields the page's address.

    Args:
        board: what is served.
        sink: takes what is evaluated.
        looked: told up to when the board was complete, each time somebody asks for the first screen.

    Raises:
        UnavailableError: the port is taken.
    """
    settings = board.settings
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        notifiers = notifiers_of(settings.notify, session)
        kept, shared = stores_beside(board)
        desk = Desk(shared)
        stack.push_async_callback(desk.close)
        outbox = Outbox(kept, desk, notifiers, settings.notify, replay_id=board.replay_id)
        stack.push_async_callback(outbox.close)
        poster = Poster(
            addresses(settings.notify),
            session,
            settings.notify,
            replay_id=board.replay_id,
            muted=lambda alert: desk.muted(alert, board.now_ms()) is not None,
        )
        delivering = poster.posts or (bool(notifiers) and not board.replay_id)
        may = await _lease(settings, stack)
        evaluator = Evaluator(board, sink, may=may)
        extras = Extras(
            delivering=delivering,
            desk=desk,
            deliveries=outbox.log,
            # A board without the lease evaluates nothing, and must not hide that nobody does.
            evaluated_ms=lambda: evaluator.ended_ms if may() else None,
            rule_state=lambda: evaluator.state,
            publish=sink.publish_alerts,
            campaigns=sink if isinstance(sink, PublishesCampaigns) else None,
            looked=looked,
        )
        runner = web.AppRunner(build_app(board, extras), access_log=None, shutdown_timeout=END_ANSWERS_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, settings.board.host, settings.board.port).start()
        except OSError as error:
            what = f"{settings.board.host}:{settings.board.port} cannot be bound: {error.strerror}."
            raise UnavailableError(what, mend="Set board.port to a free port, or 0 for any.") from error
        with contextlib.suppress(UnavailableError):  # tried again below
            # The first look, of cold caches, takes seconds, in which the clock of a demo would run away.
            await evaluator.step()
        for name, work in (
            ("evaluation", evaluator.run()),
            ("outbox", outbox.run(board, may=may)),
            ("alertmanager", poster.run(board, may=may)),
            ("warming", warm(board)),
            *([("history", board.keep_history(may))] if isinstance(board, KeepsHistory) else []),
        ):
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(_complain)
            stack.push_async_callback(_cancelled, task)
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def stopped(told: asyncio.Event) -> int:
    """Wait until told to end; exit code 0."""
    await told.wait()
    return 0


async def first_of(*waits: Awaitable[int]) -> int:
    """Return the exit code of whichever ends first, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Each lets go of what it holds before whoever asked, or cancelled this, closes what it stands on.
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(iter(done)).result()


async def _lease(settings: Settings, stack: contextlib.AsyncExitStack) -> Callable[[], bool]:
    """Return what says whether this board evaluates: always where there is one board, else the lease in Redis."""
    if not settings.board.redis_url:
        return lambda: True
    lease = Lease(settings.board.redis_url, lease_name(settings.kafka.app, settings.kafka.prefix))
    await lease.start()
    stack.push_async_callback(lease.stop)
    return lease.held


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _complain(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical("The %s of the board ended.", task.get_name(), exc_info=task.exception())
