"""Rows in spill files, in memory and on disk."""

from __future__ import annotations

import errno
import resource
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents import spill
from agents.spill import DiskFile, allow_open_files, check_folder, disk_files
from streams.errors import UnavailableError
from streams.findings import Level
from streams.settings import KafkaSettings, PreflightSettings, Settings
from streams.spill import MemoryFile, SpilledRows, SpillFile

RECORD = np.dtype([("id", "<u8"), ("copies", "<u4")])


@pytest.fixture(params=["memory", "disk"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> SpillFile:
    return MemoryFile() if request.param == "memory" else DiskFile(str(tmp_path))


def records(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(list(pairs), dtype=RECORD)


def test_rows_come_back_in_the_order_in_which_they_are_asked_for(file: SpillFile) -> None:
    table = SpilledRows(file, RECORD)
    table.put(np.array([2, 0, 1]), records((20, 2), (0, 0), (10, 1)))
    assert table.get(np.array([1, 2, 1, 0])).tolist() == [(10, 1), (20, 2), (10, 1), (0, 0)]


def test_rows_far_from_each_other_are_told_apart_and_can_be_written_anew(file: SpillFile) -> None:
    table = SpilledRows(file, RECORD)
    rows = np.array([5, 100_000, 6, 2_000])
    table.put(rows, records((1, 1), (2, 2), (3, 3), (4, 4)))
    table.put(np.array([2_000, 6]), records((8, 8), (9, 9)))
    assert table.get(rows).tolist() == [(1, 1), (2, 2), (9, 9), (8, 8)]


def test_many_rows_agree_with_a_dictionary(file: SpillFile) -> None:
    table, known, rng = SpilledRows(file, RECORD), dict[int, tuple[int, int]](), np.random.default_rng(7)
    for _ in range(40):
        rows = rng.choice(5_000, size=int(rng.integers(0, 300)), replace=False)
        pairs = list(zip(rng.integers(0, 1 << 40, len(rows)).tolist(), rows.tolist(), strict=True))
        table.put(rows, records(*pairs))
        known.update(zip(rows.tolist(), pairs, strict=True))
        asked = (
            rng.choice(np.fromiter(known, dtype=np.int64), size=200) if known else np.empty(0, dtype=np.int64)
        )
        assert table.get(asked).tolist() == [known[row] for row in asked.tolist()]


def test_nothing_asked_for_is_nothing(file: SpillFile) -> None:
    table = SpilledRows(file, RECORD)
    table.put(np.empty(0, dtype=np.int64), records())
    assert table.get(np.empty(0, dtype=np.int64)).tolist() == []


def test_a_file_on_disk_has_no_name_for_others_to_find(tmp_path: Path) -> None:
    file = disk_files(str(tmp_path))()
    file.write(0, b"people")
    assert file.read(0, 6) == b"people"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_with_the_setting_that_mends_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"kafka\.spill_folder") as refused:
        disk_files(str(tmp_path / "gone"))()
    assert "gone" in str(refused.value)


def test_a_full_disk_is_named() -> None:
    file = DiskFile("")
    with Path("/dev/full").open("wb") as full:
        file._descriptor = full.fileno()
        with pytest.raises(UnavailableError, match="No space left"):
            file.write(0, b"x" * 10_000)


def test_what_a_disk_does_not_give_back_is_named(tmp_path: Path) -> None:
    file = DiskFile(str(tmp_path))
    file.write(0, b"people")
    kept = file._descriptor
    with Path("/dev/null").open("wb") as unreadable:
        file._descriptor = unreadable.fileno()
        with pytest.raises(UnavailableError, match="cannot read state back from"):
            file.read(0, 6)
    file._descriptor = kept
    assert file.read(0, 6) == b"people"


def test_a_machine_without_a_place_for_temporary_files_is_named_to_worker_and_doctor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", full)
    with pytest.raises(UnavailableError, match="temporary files: No usable") as refused:
        disk_files("")()
    assert "kafka.spill_folder" in str(refused.value)
    finding = check_folder(Settings())
    assert finding.level is Level.BAD
    assert "kafka.spill_folder" in finding.mend


def test_a_worker_may_have_as_many_files_open_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def settings_of(folder: Path, *, min_free_bytes: int = 1) -> Settings:
    return Settings(
        kafka=KafkaSettings(spill_folder=str(folder)),
        preflight=PreflightSettings(min_free_bytes=min_free_bytes),
    )


def mounted(tmp_path: Path, *places: tuple[Path, str]) -> Path:
    """Write mounts as Linux tells them."""
    lines = [
        f"{number} 1 0:{number} / {str(place).replace(' ', chr(92) + '040')} rw,relatime shared:1 - {kind} none rw"
        for number, (place, kind) in enumerate(places, start=2)
    ]
    file = tmp_path / "mountinfo"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_doctor_says_what_is_free_where_spill_files_go_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    folder.mkdir()
    finding = check_folder(settings_of(folder))
    assert f"are free for a worker in {folder}" in finding.said
    assert finding.level is not Level.BAD
    assert list(folder.iterdir()) == []


def test_a_folder_without_room_or_that_is_not_there_is_in_the_way(tmp_path: Path) -> None:
    for settings in (settings_of(tmp_path, min_free_bytes=1 << 60), settings_of(tmp_path / "gone")):
        finding = check_folder(settings)
        assert finding.level is Level.BAD
        assert "kafka.spill_folder" in finding.mend


@pytest.mark.parametrize(
    ("inner", "level"), [("tmpfs", Level.WARN), ("ramfs", Level.WARN), ("ext4", Level.OK), ("xfs", Level.OK)]
)
def test_a_folder_in_memory_is_worth_a_look(
    inner: str, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a place"
    folder = place / "below"
    folder.mkdir(parents=True)
    outer = "ext4" if inner == "tmpfs" else "tmpfs"
    # The mount that the folder is in, whatever lies around, beside or under it.
    mounts = ((Path("/"), outer), (place, inner), (place / "below this", outer), (tmp_path / "a", outer))
    monkeypatch.setattr(spill, "MOUNTS", mounted(tmp_path, *mounts))
    finding = check_folder(settings_of(folder))
    assert finding.level is level
    assert ("which is memory" in finding.said) == (level is Level.WARN)


def test_little_memory_where_nobody_chose_it_is_worth_a_look_and_where_somebody_did_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "MOUNTS", mounted(tmp_path, (tmp_path, "tmpfs")))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    chosen = settings_of(tmp_path, min_free_bytes=1 << 60)
    assert check_folder(chosen).level is Level.BAD
    default = replace(chosen, kafka=KafkaSettings())
    assert check_folder(default).level is Level.WARN


def test_of_two_mounts_on_one_place_the_later_counts_and_without_a_list_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "MOUNTS", mounted(tmp_path, (tmp_path, "ext4"), (tmp_path, "tmpfs")))
    assert check_folder(settings_of(tmp_path)).level is Level.WARN
    monkeypatch.setattr(spill, "MOUNTS", tmp_path / "no such list")
    assert check_folder(settings_of(tmp_path)).level is Level.OK
