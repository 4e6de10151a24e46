"""`warroom demo`: a campaign day on this machine, with nothing to install and nothing to set.

The generated day: yesterday and the reference day come as history from the direct engine, today until `start` goes
through Kafka at top speed, the rest at `speed`. A judge folds the same records beside it and says on the page whether
anything was lost or counted twice. A crash starts the demo over: the embedded broker keeps nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agents.board import KafkaBoard
from replay.demo_days import Day, generated_day, real_day
from replay.direct import direct_flushes
from replay.direct_board import DirectBoard
from replay.embedded_broker import binary, embedded_broker
from replay.judge import Judge
from replay.player import PlayReport, play
from streams.errors import SettingsError
from streams.settings import Settings
from streams.state import Flush
from warroom.replaying import (
    badge_of,
    folded,
    kafka_world,
    player_world,
    speed_of,
    steps,
    world_of,
)
from warroom.running import first_of, serving, stop_event, stopped

HISTORY_PARTITION = 1_000
"""State partitions of history, away from those of the broker's topics."""

JUDGE_EVERY_S = 10.0
REPLAY_ID = "demo"


def run(settings: Settings, *, which: str, speed: str, start: str, port: int, seed: int, stay: bool) -> int:
    """Play the day until it is over (or for ever with `stay`), Ctrl-C or SIGTERM; return the exit code.

    Raises:
        SettingsError: speed or start cannot be read.
        UnavailableError: the port is taken, or the worker ended.
    """
    factor = speed_of(speed)
    with tempfile.TemporaryDirectory(prefix="warroom-demo-") as scratch:
        click.echo("Preparing the day ...", err=True)
        try:
            day = real_day() if which == "real" else generated_day(Path(scratch), seed, start)
        except ValueError as error:
            what = f"--start: {error}."
            raise SettingsError(what, mend="Write 20:30.") from error
        board = dataclasses.replace(settings.board, port=port, data_dir=str(Path(scratch) / "data"))
        base = dataclasses.replace(settings, board=board, shops={})
        return asyncio.run(_demo(day, world_of(day.today, base, REPLAY_ID), factor, stay=stay))


async def _demo(day: Day, settings: Settings, speed: float | None, *, stay: bool) -> int:
    told = stop_event()
    history = await asyncio.to_thread(lambda: list(_history(day, settings)))
    if binary() is None:
        click.echo("The embedded broker is not installed: the direct engine plays the day.", err=True)
        return await _without_broker(day, settings, speed, history, told, stay=stay)
    with embedded_broker() as address:
        kafka = dataclasses.replace(settings.kafka, bootstrap=address, transactions=False)
        settings = dataclasses.replace(settings, kafka=kafka)
        badge = badge_of(day.today)
        async with kafka_world(settings, badge=badge, history=history) as (board, url, worker):
            judging = asyncio.create_task(_judge(board, Judge(day.today, settings, from_ms=day.from_ms)))
            playing = asyncio.ensure_future(_played(day, settings, speed, board, url, told, stay=stay))
            try:
                code = await first_of(stopped(told), playing, worker.wait())
            finally:
                judging.cancel()
                await asyncio.gather(judging, return_exceptions=True)
            if worker.returncode is not None and not told.is_set():
                click.echo(f"The worker ended with code {worker.returncode}: start the demo again.", err=True)
            return code


async def _played(
    day: Day,
    settings: Settings,
    speed: float | None,
    board: KafkaBoard,
    url: str,
    told: asyncio.Event,
    *,
    stay: bool,
) -> int:
    lines = day.today.lines(from_ms=day.from_ms, to_ms=day.open_ms)
    total = await asyncio.to_thread(lambda: sum(1 for _ in lines)) if day.open_ms is not None else 0
    bar = click.progressbar(
        length=total, label=f"The day until {_clock(day)}", file=sys.stderr, show_pos=True
    )
    opened = asyncio.Event()

    def progress(report: PlayReport) -> None:
        if opened.is_set():
            return
        step(report)
        if report.total >= total:
            opened.set()
            bar.render_finish()
            click.echo(url)

    step = steps(bar.update)
    report = await play(
        day.today,
        settings,
        player_world(settings),
        speed=speed,
        fast_until_ms=day.open_ms,
        from_ms=day.from_ms,
        keep=True,
        progress=progress,
        stop=told,
    )
    if not report.stopped:
        await folded(board, report.clock_ms)
        click.echo("The day is over. Ctrl-C ends the demo." if stay else "The day is over.", err=True)
    if stay:
        await told.wait()
    return 0


async def _without_broker(
    day: Day,
    settings: Settings,
    speed: float | None,
    history: list[Flush],
    told: asyncio.Event,
    *,
    stay: bool,
) -> int:
    board = DirectBoard(day.today, settings, badge=badge_of(day.today))
    for flush in history:
        board.columns.apply(flush, history=True)
    async with serving(board, board) as url:
        click.echo(url)
        await first_of(stopped(told), board.play(speed=speed, fast_until_ms=day.open_ms, from_ms=day.from_ms))
        if stay:
            await told.wait()
    return 0


def _history(day: Day, settings: Settings) -> Iterator[Flush]:
    for number, recording in enumerate(day.history):
        until_ms = None if day.from_ms is None else day.from_ms - 1
        yield from direct_flushes(
            recording, settings, until_ms=until_ms, first_partition=HISTORY_PARTITION + number
        )


async def _judge(board: KafkaBoard, judge: Judge) -> None:
    """Keep the board's verdict fresh; the comparison folds every record again, in a thread."""
    while True:
        await asyncio.sleep(JUDGE_EVERY_S)
        positions = [place for place in board.columns.positions() if place[0] < HISTORY_PARTITION]
        board.verdict = await asyncio.to_thread(judge.compare, positions)


def _clock(day: Day) -> str:
    timezone = ZoneInfo(next(iter(day.today.shops.values())).timezone)
    return (
        "now" if day.open_ms is None else f"{dt.datetime.fromtimestamp(day.open_ms / 1000, timezone):%H:%M}"
    )
