"""`warroom export`: a file from a recording or a board, whole or not there."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from dashboards.server import build_app
from tests.processes import free_port
from tests.unit.dashboards.shops import full_board
from tests.unit.replay.recorded import written
from warroom.cli import main


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    written(tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def url() -> Iterator[str]:
    """Yield the address of a board that serves in a thread of its own, as another process would."""
    loop = asyncio.new_event_loop()
    server = TestServer(build_app(full_board()), loop=loop)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start_server(), loop).result(10)
    yield f"http://127.0.0.1:{server.port}"
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("WARROOM_CONFIG", raising=False)


def told(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)])


def test_a_recording_is_exported_in_the_form_that_the_files_name_ends_in(
    recording: Path, tmp_path: Path
) -> None:
    # 18 clicks each; of p1 one is torn and two are sent twice in place of others.
    expected = {"p0": 18, "p1": 15, "p2": 18}
    frames = {}
    for form in ("csv", "parquet", "json"):
        out = tmp_path / f"clicks.{form}"
        result = told(
            "--recording", recording, "--metrics", "product_clicks", "--by", "product", "--out", out
        )
        assert (result.exit_code, result.output) == (0, "")
        if form == "json":
            frames[form] = pl.DataFrame(json.loads(out.read_text(encoding="utf-8"))["rows"])
        else:
            frames[form] = pl.read_csv(out) if form == "csv" else pl.read_parquet(out)
    for frame in frames.values():
        assert dict(frame.iter_rows()) == expected


def test_without_a_file_csv_is_printed(recording: Path) -> None:
    result = told("--recording", recording, "--metrics", "product_clicks,gmv", "--why")
    assert result.exit_code == 0
    assert result.output == "product_clicks,product_clicks_why,gmv,gmv_why\n51,,,no_source\n"


def test_a_board_is_exported_over_its_api_also_all_formats_and_views(url: str, tmp_path: Path) -> None:
    out = tmp_path / "day.csv"
    result = told("--url", url, "--metrics", "gmv", "--by", "product", "--all-formats", "--out", out)
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert {"All", "Seller LIVE"} < {row["Tab Name"] for row in rows}
    listed = tmp_path / "list.json"
    assert (
        told("--url", url, "--view", "product_list", "content_type=shop_tab", "--out", listed).exit_code == 0
    )
    assert json.loads(listed.read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--metrics", "gmw"], 2, "Did you mean gmv"),
        (["--metrics", "gmv", "--all-formats", "--by", "slice"], 2, "Leave slice out"),
        (["--metrics", "gmv", "--format", "parquet"], 2, "--out"),
        (["--metrics", "gmv", "content_type=all"], 2, "--view"),
        (["--view", "product_list", "content_type=alle"], 2, "all"),
        ([], 2, "metrics"),
    ],
)
def test_what_cannot_be_exported_ends_with_code_2_and_what_would_work(
    recording: Path, words: list[str], code: int, said: str
) -> None:
    result = told("--recording", recording, *words)
    assert result.exit_code == code
    assert said in result.output


def test_a_refusal_of_the_board_leaves_the_old_file_as_it_was(url: str, tmp_path: Path) -> None:
    out = tmp_path / "day.csv"
    out.write_text("yesterday\n", encoding="utf-8")
    result = told("--url", url, "--metrics", "gmv", "--by", "weekday", "--out", out)
    assert result.exit_code == 2
    assert "weekday" in result.output
    assert out.read_text(encoding="utf-8") == "yesterday\n"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]


def test_a_board_that_is_not_there_and_a_folder_that_is_not_there_are_said(
    recording: Path, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert told("--url", nobody, "--metrics", "gmv").exit_code == 69
    lost = told("--recording", recording, "--metrics", "product_clicks", "--out", tmp_path / "no" / "a.csv")
    assert lost.exit_code == 69
    assert "cannot be written" in lost.output
