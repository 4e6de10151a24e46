"""Days in Parquet: one file a shop and day, and beside it a manifest that says what the file must be.

    <board.data_dir>/history/<prefix>/shop=<shop>/2026-11-27.parquet    rows of `streams.history.CELLS_SCHEMA`
    <board.data_dir>/history/<prefix>/shop=<shop>/2026-11-27.json       its size, SHA-256, cubes and counts

A file is written under another name, made durable and renamed; then the manifest likewise. A day is there when its
manifest is: whatever a crash leaves before that is written over, and nobody reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from streams.cubes import EARLIER_DIMS
from streams.days import day_label, parse_day
from streams.errors import QueryError
from streams.findings import bad, ok
from streams.history import CELLS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.cubes import Cube
    from streams.findings import Finding
    from streams.settings import Settings

logger = logging.getLogger(__name__)

FORMAT: Final = 1
MEND: Final = "Copy the file back from a backup, or delete both of the day: its traffic is then null."

Step = str
"""A point of writing a day at which a process may die: tests do."""


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a day's file must be.

    Attributes:
        format: of the file, 1.
        day, shop_id: whose it is.
        size, sha256: of the file.
        cubes: name to definition of each cube in it, also of those without a cell.
        events: type of traffic to its number over the day, by the shop's own cube.
    """

    format: int
    day: str
    shop_id: str
    size: int
    sha256: str
    cubes: dict[str, str]
    events: dict[str, int]


class DayFolder:
    """Implements `streams.history.DayStore`.

    Args:
        root: the folder of one prefix; it need not exist.
        reached: called at every step of writing, for tests.
    """

    def __init__(self, root: Path, reached: Callable[[Step], None] = lambda _: None) -> None:
        self.root = root
        self._reached = reached
        self._manifests: dict[str, dict[int, Manifest]] = {}
        self._days: dict[str, frozenset[int]] = {}
        self._checked: set[tuple[str, int]] = set()
        self.faults: dict[tuple[str, int], str] = {}
        """What is wrong with a day's files, by shop and day."""

    def look(self, shop_id: str) -> None:
        """Take notice of the days of a shop that are there, and of files that are not what they must be in size."""
        known = self._manifests.setdefault(shop_id, {})
        for path in sorted(self._folder(shop_id).glob("*.json")):
            try:
                day = parse_day(path.stem)
            except ValueError:
                continue
            if day not in known and (manifest := self._manifest(shop_id, day, path)) is not None:
                known[day] = manifest
        for day, manifest in known.items():
            path = self._path(shop_id, day)
            size = path.stat().st_size if path.is_file() else None
            if size is None:
                self._complain(shop_id, day, f"{path} is missing")
            elif size != manifest.size:
                self._complain(shop_id, day, f"{path} has {size} bytes and must have {manifest.size}")
        self._days[shop_id] = frozenset(known) | self._damaged(shop_id)

    def days(self, shop_id: str) -> frozenset[int]:
        """Return the days of a shop that were written down, also those whose files are damaged."""
        return self._days.get(shop_id, frozenset())

    def whole_days(self, shop_id: str) -> frozenset[int]:
        """Return the days of a shop that were written down and of whose files no fault is known."""
        return self.days(shop_id) - self._damaged(shop_id)

    def cells(self, shop_id: str, day: int, cube: Cube, *, people: bool) -> pl.DataFrame:
        """Return a cube's rows of a day; the file's checksum is looked at before the first one.

        A dimension that the cube did not have then is null.

        Raises:
            QueryError: `history_damaged`; `no_detail_before` when the cube was defined otherwise, or not there, then.
        """
        self.check(shop_id, day)
        fault = self.faults.get((shop_id, day))
        if fault is not None:
            what = f"The history of {shop_id}, {day_label(day)}, cannot be read: {fault}."
            raise QueryError(what, reason="history_damaged", mend=MEND)
        dims = self._dims(shop_id, day, cube)
        if dims is None:
            last = max(
                other for other in self._manifests[shop_id] if self._dims(shop_id, other, cube) is None
            )
            what = (
                f"{day_label(day)} was written down when the cube {cube.name} was another or was not there."
            )
            mend = f"Ask for days after {day_label(last)}, or with fewer dimensions."
            raise QueryError(what, reason="no_detail_before", mend=mend)
        columns = [name for name in CELLS_SCHEMA if name != "cube" and (people or name != "image")]
        scan = pl.scan_parquet(self._path(shop_id, day)).filter(pl.col("cube") == cube.name)
        rows = scan.select(columns).collect()
        if dims == cube.dims:
            return rows
        of_now = [
            pl.col("dims").list.get(dims.index(name)) if name in dims else pl.lit(None, pl.String())
            for name in cube.dims
        ]
        return rows.with_columns(pl.concat_list(of_now).alias("dims"))

    def check(self, shop_id: str, day: int) -> None:
        """Compare a day's file with its manifest, once; what differs is in `faults`."""
        manifest = self._manifests.get(shop_id, {}).get(day)
        if manifest is None or (shop_id, day) in self._checked or (shop_id, day) in self.faults:
            return
        path = self._path(shop_id, day)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            self._complain(shop_id, day, f"{path} cannot be read ({error.strerror})")
            return
        if digest != manifest.sha256:
            self._complain(shop_id, day, f"{path} is not the file that was written (SHA-256)")
        else:
            self._checked.add((shop_id, day))

    def write(
        self, shop_id: str, day: int, cells: pl.DataFrame, cubes: dict[str, str], events: dict[str, int]
    ) -> None:
        """Write a day down; durable and whole when it returns.

        Args:
            shop_id: whose.
            day: ordinal.
            cells: `CELLS_SCHEMA`.
            cubes: name to definition of those in it.
            events: for the manifest.

        Raises:
            OSError: the disk is full or may not be written.
        """
        folder = self._folder(shop_id)
        folder.mkdir(parents=True, exist_ok=True)
        path = self._path(shop_id, day)
        with _replacing(path) as temporary:
            cells.sort("cube").write_parquet(temporary, row_group_size=1 << 16)
            self._reached("file written")
        self._reached("file there")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = Manifest(FORMAT, day_label(day), shop_id, path.stat().st_size, digest, cubes, events)
        with _replacing(path.with_suffix(".json")) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            self._reached("manifest written")
        self._reached("manifest there")
        self._manifests.setdefault(shop_id, {})[day] = manifest
        self._days[shop_id] = self.days(shop_id) | {day}
        self._checked.add((shop_id, day))
        self.faults.pop((shop_id, day), None)

    def _dims(self, shop_id: str, day: int, cube: Cube) -> tuple[str, ...] | None:
        """Return what a cube's rows of a day are added up by; None: it was another then, or not there or not whole."""
        definition = self._manifests[shop_id][day].cubes.get(cube.name, "")
        return cube.dims if definition == cube.definition else EARLIER_DIMS.get((cube.name, definition))

    def _damaged(self, shop_id: str) -> set[int]:
        # A copy: days are written, and their faults forgotten, in another thread than questions find some in.
        return {day for shop, day in dict(self.faults) if shop == shop_id}

    def _manifest(self, shop_id: str, day: int, path: Path) -> Manifest | None:
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            self._complain(shop_id, day, f"{path} cannot be read ({error})")
            return None
        if manifest.format != FORMAT or (manifest.day, manifest.shop_id) != (day_label(day), shop_id):
            self._complain(shop_id, day, f"{path} is of another version, shop or day")
            return None
        return manifest

    def _complain(self, shop_id: str, day: int, fault: str) -> None:
        if (shop_id, day) not in self.faults:
            logger.error("History of %s, %s: %s. %s", shop_id, day_label(day), fault, MEND)
        self.faults[shop_id, day] = fault

    def _folder(self, shop_id: str) -> Path:
        # Quoted, and never `.` or `..`: a shop's id is any text.
        return self.root / f"shop={urllib.parse.quote(shop_id, safe='')}"

    def _path(self, shop_id: str, day: int) -> Path:
        return self._folder(shop_id) / f"{day_label(day)}.parquet"


def day_folder(settings: Settings) -> DayFolder:
    """Return the history of a process' prefix, with what is there of the shops of its settings."""
    name = f"prefix={urllib.parse.quote(settings.kafka.prefix, safe='')}"
    folder = DayFolder(Path(settings.board.data_dir) / "history" / name)
    for shop_id in settings.shops:
        folder.look(shop_id)
    return folder


def check_history(settings: Settings) -> Finding:
    """Return what is found of the days that were written down: every file is read, for `warroom doctor`."""
    folder = day_folder(settings)
    days = [(shop_id, day) for shop_id in settings.shops for day in sorted(folder.days(shop_id))]
    for shop_id, day in days:
        folder.check(shop_id, day)
    faults = [fault for _, fault in sorted(folder.faults.items())]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        return bad("history", "; ".join(faults[:3]) + more, MEND)
    return ok(
        "history", f"{len(days)} days are whole in {folder.root}" if days else "no day is written down yet"
    )


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; what stands there takes the place of `path` at once and durably."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)
