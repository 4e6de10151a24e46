"""Every error that a person can meet, in one tree.

    WarRoomError
    ├── SettingsError         a setting is missing, unknown or out of bounds          exit 2
    ├── QueryError            a question that has no right answer                     exit 2, HTTP 422
    │   └── ComparisonError   what it would be compared with has none                 exit 2, HTTP 422
    ├── RecordingError        a recording or a foreign file cannot be read            exit 3
    ├── StateError            stored state does not fit this version                  exit 4
    ├── TopicsError           the broker's topics are not as they must be             exit 5
    └── UnavailableError      a broker, Redis or board cannot be reached              exit 69
        ├── FencedError       another worker owns the partition now                   exit 75
        ├── FlushError        a flush failed or its fate is unknown                   exit 75
        └── HoleError         records that were read have not arrived                 exit 75

Data never raises out of an agent: a record that cannot count has an outcome (`streams.outcomes`) instead.
"""

from __future__ import annotations

from typing import ClassVar


class WarRoomError(Exception):
    """Say what is wrong, where, and how to mend it.

    Args:
        what: the fault and its place, one sentence, names the key, file, topic or argument.
        mend: what the reader can do about it, one sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        """Return what is wrong and, where known, how to mend it."""
        return f"{self.what} {self.mend}".rstrip()


class SettingsError(WarRoomError):
    """A setting is missing, unknown or out of bounds."""

    exit_code = 2


class QueryError(WarRoomError):
    """A question that has no right answer; `reason` is a stable word such as `grain_too_coarse`."""

    exit_code = 2

    def __init__(self, what: str, *, reason: str, mend: str = "") -> None:
        super().__init__(what, mend=mend)
        self.reason = reason


class ComparisonError(QueryError):
    """Nothing right can stand beside the answer; without `compare` the question has one."""


class RecordingError(WarRoomError):
    """A recording or a foreign file cannot be read; the message names file and line."""

    exit_code = 3


class StateError(WarRoomError):
    """Stored state does not fit this version: a changed cube, an unknown row, a bad checksum."""

    exit_code = 4


class TopicsError(WarRoomError):
    """The broker's topics are not as they must be: a wrong partition count, a missing topic."""

    exit_code = 5


class UnavailableError(WarRoomError):
    """A broker, Redis or board cannot be reached."""

    exit_code = 69


class FencedError(UnavailableError):
    """Another worker owns the partition now; this process must end and write nothing more."""

    exit_code = 75


class FlushError(UnavailableError):
    """A flush failed or its fate is unknown; this process must end, its successor starts from what is durable."""

    exit_code = 75


class HoleError(UnavailableError):
    """Records that were read have not arrived where they are folded; the successor reads them again."""

    exit_code = 75
