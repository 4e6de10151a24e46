"""`warroom replay`: a recording in a world of its own, with its own worker, board and page (X-81)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from agents import processes, topics
from agents.board import KafkaBoard
from agents.clients import client_options
from agents.outputs import Outputs
from replay.clock import local_instant_ms, parse_speed
from replay.direct_board import DirectBoard
from replay.engine import whole_recording
from replay.player import PlayReport, World, play
from replay.recording import Recording
from streams.columns import Columns
from streams.errors import QueryError, SettingsError, UnavailableError
from streams.settings import Settings
from warroom.asking import recorded, zone_of
from warroom.configuration import for_replay
from warroom.running import clock_ms, first_of, serving, stop_event, stopped

STOP_WORKER_S = 15.0
FOLDED_WITHIN_S = 120.0


def world_of(recording: Recording, settings: Settings, replay_id: str, speed: float | None) -> Settings:
    """Return the settings of a recording's own world: its shops, all its days, its topics.

    At 60x the second between two flushes is a minute of recorded time: what is called behind is so by the wall's clock.
    """
    settings = for_replay(settings.with_shops(recording.shops), replay_id)
    behind_ms = round(settings.board.catching_up_ms * max(1.0, speed or 1.0))
    return dataclasses.replace(
        settings,
        fold=whole_recording(settings.fold, recording),
        board=dataclasses.replace(settings.board, catching_up_ms=behind_ms),
    )


def badge_of(recording: Recording) -> str:
    """Return what is shown wherever numbers of a recording are shown."""
    return "synthetic" if recording.manifest.synthetic else ""


@contextlib.asynccontextmanager
async def worker_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker in a process of its own: its folding must not slow the page down."""
    with tempfile.TemporaryDirectory(prefix="warroom-") as folder:
        process = await asyncio.create_subprocess_exec(
            *processes.command(settings, Path(folder)),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to us, and the worker flushes before it ends
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(STOP_WORKER_S):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()


@contextlib.asynccontextmanager
async def kafka_world(
    settings: Settings, *, badge: str
) -> AsyncIterator[tuple[KafkaBoard, Outputs, asyncio.subprocess.Process]]:
    """Run worker and board on a replay's topics; yields board, where evaluations go, worker."""
    async with contextlib.AsyncExitStack() as stack:
        await topics.ensure(settings)
        process = await stack.enter_async_context(worker_process(settings))
        board = KafkaBoard(settings, clock_ms, badge=badge)
        await board.start()
        stack.push_async_callback(board.stop)
        outputs = Outputs(settings.kafka)
        await outputs.start()
        stack.push_async_callback(outputs.stop)
        yield board, outputs, process


def player_world(settings: Settings) -> World:
    """Return what the player needs of the broker's side."""
    return World(
        create=partial(topics.ensure, settings),
        delete=partial(topics.delete, settings),
        options=client_options(settings.kafka),
    )


async def folded(board: KafkaBoard, until_ms: int) -> None:
    """Wait until everything up to a recorded time is in the columns.

    Raises:
        UnavailableError: the worker does not get there in time.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FOLDED_WITHIN_S):
            while board.columns.vouched_ms < until_ms:
                await board.changed(board.columns.version)
            return
    what = "The worker has not folded everything that was played."
    raise UnavailableError(what, mend="Look at its log: run `warroom worker --replay ID -v`.")


def play_recording(path: Path, settings: Settings, **options: Any) -> int:
    """Play a recording; return the exit code."""
    return asyncio.run(_play(Recording.open(path, settings.shops), settings, **options))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be played, and how.

    Attributes:
        update: moves the progress bar by a number of records.
        beside: what the board that is watched compares with, as `Columns.beside`.
    """

    recording: Recording
    settings: Settings
    speed: float | None
    from_ms: int | None
    to_ms: int | None
    keep: bool
    update: Callable[[int], None]
    told: asyncio.Event
    beside: Mapping[str, Columns]


async def _play(
    recording: Recording, settings: Settings, *, to: str, rebase: str | None, as_json: bool, **options: Any
) -> int:
    timezone = zone_of(recording, settings)
    if rebase is not None:
        recording = recording.rebased(today_ms=clock_ms(), timezone=timezone)
    into_live = options["into_live"]
    replay_id = "" if into_live else options["replay_id"] or _id_of(recording.folder)
    speed = speed_of(options["speed"])
    from_ms, to_ms = _instant(options["from_time"], timezone), _instant(options["to_time"], timezone)
    watch = options["watch"] and not into_live
    served = watch and (to == "kafka" or speed is not None)
    if options["against"] is not None and not served:
        what = "--against is what a board compares with, and nothing is watched here."
        mend = "Leave it out; or leave --only-play, --into-live and --speed max with --to direct out."
        raise QueryError(what, reason="no_recording", mend=mend)
    beside = await asyncio.to_thread(recorded, options["against"], settings)
    total = await asyncio.to_thread(recording.records_between, from_ms, to_ms)
    label = f"replay {replay_id}" if replay_id else "into the live topics"
    with click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True) as bar:
        plan = _Plan(
            recording=recording,
            settings=settings if into_live else world_of(recording, settings, replay_id, speed),
            speed=speed,
            from_ms=from_ms,
            to_ms=to_ms,
            keep=options["keep"],
            update=bar.update,
            told=stop_event(),
            beside=beside,
        )
        if to == "direct":
            report = await _to_direct(plan, watch=watch)
        else:
            report = await (_watched(plan) if watch else _only_played(plan))
    said = "\n".join(f"{name}: {value}" for name, value in report.items())
    click.echo(json.dumps(report, sort_keys=True) if as_json else said)
    return 0


async def _to_direct(plan: _Plan, *, watch: bool) -> dict[str, Any]:
    board = DirectBoard(plan.recording, plan.settings, badge=badge_of(plan.recording))
    board.columns.beside = plan.beside
    async with contextlib.AsyncExitStack() as stack:
        if watch and plan.speed is not None:
            click.echo(await stack.enter_async_context(serving(board, board)), err=True)
        playing = board.play(speed=plan.speed, from_ms=plan.from_ms, to_ms=plan.to_ms, progress=plan.update)
        await first_of(stopped(plan.told), playing)
    return _report(board.columns)


async def _watched(plan: _Plan) -> dict[str, Any]:
    try:
        async with contextlib.AsyncExitStack() as stack:
            world = kafka_world(plan.settings, badge=badge_of(plan.recording))
            board, outputs, worker = await stack.enter_async_context(world)
            board.columns.beside = plan.beside
            url = await stack.enter_async_context(serving(board, outputs))
            click.echo(url, err=True)
            playing = asyncio.ensure_future(_sent(plan, keep=True))
            await first_of(_done(playing), worker.wait())
            if not playing.done():
                what = f"The worker ended with code {worker.returncode}."
                raise UnavailableError(what, mend="Run `warroom -v worker --replay ID` to see why.")
            report = playing.result()
            if not report.stopped:
                await folded(board, report.clock_ms)
            return _report(board.columns) | {"played": report.total}
    finally:
        if not plan.keep:
            await topics.delete(plan.settings)


async def _only_played(plan: _Plan) -> dict[str, Any]:
    report = await _sent(plan, keep=plan.keep)
    return {"played": report.total, "topics": dict(report.records), "seconds": round(report.seconds, 1)}


async def _sent(plan: _Plan, *, keep: bool) -> PlayReport:
    return await play(
        plan.recording,
        plan.settings,
        player_world(plan.settings),
        speed=plan.speed,
        from_ms=plan.from_ms,
        to_ms=plan.to_ms,
        keep=keep,
        into_live=not plan.settings.replay_id,
        progress=steps(plan.update),
        stop=plan.told,
    )


async def _done(playing: asyncio.Future[PlayReport]) -> int:
    await asyncio.shield(playing)
    return 0


def steps(update: Callable[[int], None]) -> Callable[[PlayReport], None]:
    """Turn totals into the steps that a progress bar takes."""
    seen = 0

    def step(report: PlayReport) -> None:
        nonlocal seen
        update(report.total - seen)
        seen = report.total

    return step


def _report(columns: Columns) -> dict[str, Any]:
    """Return what became of the records, by topic and outcome."""
    outcomes = columns.outcomes()
    return {
        "records": sum(sum(counts.values()) for counts in outcomes.values()),
        "outcomes": {
            topic: {o.value: n for o, n in counts.items() if n}
            for topic, counts in outcomes.items()
            if counts
        },
    }


def _id_of(folder: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-")[:60] or "recording"


def speed_of(text: str) -> float | None:
    """Return a speed as a factor, `max` as None.

    Raises:
        SettingsError: it is neither a factor nor `max`.
    """
    try:
        return parse_speed(text)
    except ValueError as error:
        what = f"--speed: {error}."
        raise SettingsError(what, mend="Write 60x, 0.5x or max.") from error


def _instant(text: str | None, timezone: str) -> int | None:
    try:
        return None if text is None else local_instant_ms(text, timezone)
    except ValueError as error:
        what = f"{error}."
        raise SettingsError(
            what, mend="Write 2011-11-25T08:00 in shop time, or ms since the epoch."
        ) from error
