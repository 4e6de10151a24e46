"""Spill files on disk: where a worker keeps what its partitions seldom read (`streams.spill`)."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import tempfile
import weakref
from typing import TYPE_CHECKING

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from streams.spill import SpillFiles


class DiskFile:
    """A file without a name, so that the system takes it back when the process ends, however it ends.

    Args:
        folder: where; empty for the system's folder of temporary files.

    Raises:
        UnavailableError: no file can be made there.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder or tempfile.gettempdir()
        try:
            self._descriptor, path = tempfile.mkstemp(prefix="warroom-spill-", dir=self._folder)
            os.unlink(path)  # noqa: PTH108 - the descriptor is all there is of it
        except OSError as error:
            raise self._refused(error) from error
        weakref.finalize(self, os.close, self._descriptor)

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
        """Return bytes that were written."""
        return os.pread(self._descriptor, size, offset)

    def _refused(self, error: OSError) -> UnavailableError:
        what = f"The worker cannot keep state in {self._folder}: {error.strerror}."
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
