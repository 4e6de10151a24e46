"""Spill files on disk: where a worker keeps what its partitions seldom read (`streams.spill`)."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.errors import UnavailableError
from streams.findings import Finding, bad, ok, warn

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.spill import SpillFiles

MOUNTS: Final = Path("/proc/self/mountinfo")
"""Of Linux; elsewhere nothing tells what a folder is on."""

_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class DiskFile:
    """A file without a name, so that the system takes it back when the process ends, however it ends.

    Args:
        folder: where; empty for the system's folder of temporary files.

    Attributes:
        folder: where it is.

    Raises:
        UnavailableError: no file can be made there.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder or "the system's folder of temporary files"
        try:
            # It writes to the folder that it names, and raises where that cannot be done.
            self.folder = folder or tempfile.gettempdir()
            self._descriptor, path = tempfile.mkstemp(prefix="warroom-spill-", dir=self.folder)
            weakref.finalize(self, os.close, self._descriptor)
            os.unlink(path)  # noqa: PTH108 - the descriptor is all there is of it
        except OSError as error:
            raise self._refused(error) from error

    def write(self, offset: int, data: bytes) -> None:
        """Write all of the bytes, beyond the end too.

        Raises:
            UnavailableError: there is no room.
        """
        left = memoryview(data)
        try:
            while left:
                written = os.pwrite(self._descriptor, left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:
            raise self._refused(error) from error

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes that were written.

        Raises:
            UnavailableError: the disk does not give them back.
        """
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            what = f"The worker cannot read state back from {self.folder}: {error.strerror}."
            raise UnavailableError(what, mend="Look at that disk; start the worker again.") from error

    def _refused(self, error: OSError) -> UnavailableError:
        what = f"The worker cannot keep state in {self.folder}: {error.strerror}."
        return UnavailableError(what, mend="Make room there, or name another folder (kafka.spill_folder).")


def disk_files(folder: str) -> SpillFiles:
    """Return what makes files in a folder; empty for the system's folder of temporary files."""
    return functools.partial(DiskFile, folder)


def allow_open_files() -> None:
    """Let this process have as many files open as its hard limit allows.

    A partition has some twenty; with 64 of them a worker is beyond the 1,024 that shells give by default.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems have no hard limit and refuse that as a soft one: theirs stays as it is.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_folder(settings: Settings) -> Finding:
    """Return what is found of the folder of spill files, for `warroom doctor`; a file is made there and gone again."""
    try:
        folder = DiskFile(settings.kafka.spill_folder).folder
    except UnavailableError as error:
        return bad("spill", error.what, error.mend)
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 30):.1f} GiB are free for a worker in {folder}"
    in_memory = _file_system(Path(folder)) in _IN_MEMORY
    if in_memory:
        said += ", which is memory: what is put there takes what it saves"
    # In a container without a worker nobody has chosen the small memory that stands for temporary files.
    chosen = bool(settings.kafka.spill_folder) or not in_memory
    if free < settings.preflight.min_free_bytes and chosen:
        return bad("spill", said, "Make room there, or name another folder (kafka.spill_folder).")
    if in_memory:
        return warn("spill", said, "Where a worker runs, name a folder on a disk (kafka.spill_folder).")
    return ok("spill", said)


def _file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder; empty where the system does not tell."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    parents = [folder.resolve(), *folder.resolve().parents]
    deepest, found = len(parents), ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        # A space in a path stands as \\040; of two mounts on one place, the later one is on top.
        mounted = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), place.split(" ")[4]))
        if mounted in parents and parents.index(mounted) <= deepest:
            deepest, found = parents.index(mounted), kind.split(" ")[0]
    return found
