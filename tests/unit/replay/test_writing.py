"""Writing: what was written is what is read, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.manifest import Manifest
from replay.recording import Line, Recording
from replay.writing import Compression, RecordingWriter
from streams.errors import RecordingError
from streams.settings import ShopSettings

SHOP = ShopSettings("s1", "Europe/London", "GBP")
HOSTILE: list[bytes | None] = [
    b'{"a": 1, "a": 2}',
    b"",
    b"null",
    None,
    b"NaN",
    b'{"n": NaN}',
    b'{"n": -Infinity}',
    b' {"a":1}',
    b'{"a":1}\n',
    b'{"a":\n1}',
    b'{"cut":',
    b"\xff\xfe\x00",
    b'{"s":"\xff"}',
    b"[" * 5000 + b"]" * 5000,
    b'"text"',
    b"9223372036854775808",
    b'{"a":1}{"b":2}',
]


def round_trip(folder: Path, values: list[bytes | None], compression: Compression = "zst") -> list[Line]:
    with RecordingWriter(folder, Manifest("x", {"s1": SHOP}), compression=compression) as writer:
        for at_ms, value in enumerate(values, start=1):
            writer.write("cm.orders", 'k"\n', at_ms, value, {"h": "é"})
    recording = Recording.open(folder)
    found = list(recording.lines())
    assert recording.warnings == []
    return found


@pytest.mark.parametrize("compression", ["none", "gz", "zst"])
def test_hostile_values_come_back_as_the_same_bytes(tmp_path: Path, compression: Compression) -> None:
    assert round_trip(tmp_path / "r", HOSTILE, compression) == [
        Line("cm.orders", b'k"\n', at_ms, value, (("h", "é".encode()),))
        for at_ms, value in enumerate(HOSTILE, start=1)
    ]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=8))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, values: list[bytes | None]) -> None:
    folder = tmp_path_factory.mktemp("r") / "r"
    assert [line.value for line in round_trip(folder, values, "none")] == values


def test_the_manifest_counts_records_and_bytes_of_values(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "r", Manifest("x", {"s1": SHOP}, other={"synthetic": True})) as writer:
        writer.write("cm.orders", None, 5, b'{"a":1}')
        writer.write("cm.orders", None, 6, None)
        writer.write("cm.clicks", None, 9, b"{}")
    document = Recording.open(tmp_path / "r").manifest.document()
    assert document["topics"] == {
        "cm.clicks": {"records": 1, "bytes": 2},
        "cm.orders": {"records": 2, "bytes": 7},
    }
    assert (document["starts_at_ms"], document["ends_at_ms"]) == (5, 9)
    assert document["shop_id"] == "s1"
    assert document["synthetic"] is True


def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        round_trip(tmp_path / name, HOSTILE, "gz")
    for file in ("manifest.json", "part-0000.jsonl.gz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_writing_that_failed_leaves_no_recording(tmp_path: Path) -> None:
    def fail() -> None:
        with RecordingWriter(tmp_path / "r", Manifest("x", {"s1": SHOP})) as writer:
            writer.write("cm.orders", None, 5, b"{}")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        fail()
    with pytest.raises(RecordingError, match=r"no manifest\.json"):
        Recording.open(tmp_path / "r")


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    round_trip(tmp_path / "r", [b"{}"])
    with pytest.raises(RecordingError, match="holds a recording already"):
        RecordingWriter(tmp_path / "r", Manifest("x", {"s1": SHOP}))
