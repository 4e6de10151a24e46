"""From nothing to GO on a real broker: init, topics, send, up, preflight, and the page that a person acknowledges."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.kafka_broker import REPOSITORY, KafkaBroker
from tests.processes import free_port
from tests.receivers import Slack
from tests.selling import Selling
from tests.warroom_process import Warroom

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]

SHOP: Final = "s1"
NUMBERS: Final = itertools.count(1)


async def warroom(config: Path, *arguments: str, prefix: str) -> tuple[int, str]:
    """Run a command to its end; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "warroom.cli",
        "--config",
        str(config),
        *arguments,
        cwd=REPOSITORY,
        env=os.environ | {"WARROOM_KAFKA_PREFIX": prefix},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize(("acknowledged", "verdict"), [(True, "GO"), (False, "NO-GO: page")])
async def test_a_day_is_prepared_and_a_person_acknowledges_the_page(
    kafka: KafkaBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    acknowledged: bool,
    verdict: str,
) -> None:
    prefix, config, port = f"pre{next(NUMBERS)}.", tmp_path / "warroom.toml", free_port()
    # The board that a test starts reads it too.
    monkeypatch.setenv("WARROOM_KAFKA_PREFIX", prefix)
    products = tmp_path / "products.csv"
    products.write_text("product_id,name,price,sku_ids,unit_cost\nA,Linen dress,25,A1,9\n", encoding="utf-8")
    today = dt.datetime.now(dt.UTC).date()
    async with Slack() as slack:
        hook = tmp_path / "hook"
        hook.write_text(slack.url, encoding="utf-8")
        hook.chmod(0o600)
        code, said = await warroom(
            config, "init", "--yes", "--shop", SHOP, "--kafka", kafka.bootstrap, "--timezone", "UTC",
            "--starts", str(today + dt.timedelta(days=1)), "--ends", str(today + dt.timedelta(days=1)),
            "--goal", "50000", "--products", str(products), "--route", f"slack={hook}", prefix=prefix,
        )  # fmt: skip
        assert code == 0, said
        wait_ms = 60_000 if acknowledged else 1_500
        with config.open("a", encoding="utf-8") as file:
            file.write(f'[board]\nport = {port}\ndata_dir = "{tmp_path}/data"\n')
            file.write(f"[preflight]\npage_wait_ms = {wait_ms}\n")
        for command in (["topics"], ["send", str(tmp_path / "reference.jsonl")], ["doctor"]):
            code, said = await warroom(config, *command, prefix=prefix)
            assert code == 0, said
        async with (
            Selling(kafka.bootstrap, prefix, [SHOP]) as selling,
            Warroom(config, "up", port=port) as board,
        ):
            await selling.sells("A1")
            await board.ready()
            await board.until(
                "/api/v1/preflight",
                lambda said: {one["check"] for one in said["findings"]} >= {"goal", "stock", "source:orders"},
            )
            looking = asyncio.create_task(warroom(config, "preflight", "--url", board.url, prefix=prefix))
            if acknowledged:
                # Somebody takes on what they were told of, not what only the board knows.
                await slack.until(lambda: any("TEST PAGE" in text for text in slack.texts()))
                told = await board.until(
                    "/api/v1/alerts", lambda said: any("/TEST/" in one["alert_id"] for one in said["alerts"])
                )
                (page,) = [one for one in told["alerts"] if "/TEST/" in one["alert_id"]]
                code, said = await warroom(
                    config,
                    "alerts",
                    "ack",
                    page["alert_id"],
                    "--by",
                    "Ann",
                    "--url",
                    board.url,
                    prefix=prefix,
                )
                assert code == 0, said
            code, said = await looking
            assert said.splitlines()[-1] == verdict, said + board.log()
            assert code == (0 if acknowledged else 6)
            assert not acknowledged or "acknowledged by Ann" in said
            await board.until(
                "/api/v1/alerts",
                lambda said: all(
                    one["state"] == "resolved" for one in said["alerts"] if "/TEST/" in one["alert_id"]
                ),
            )
