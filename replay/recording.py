"""Recordings: a folder with a manifest and lines of records, read as a stream.

A line is `{"topic", "key", "timestamp_ms", "value"}`, with `headers` where there are any and `value_base64` where the
bytes are not JSON. A JSON `value` is handed on as the very bytes that stand in the line, so that duplicate keys, order
of fields and numbers stay as the producer wrote them; `null` is a null value (a tombstone).

Source: spec/README.md.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import io
import logging
import mmap
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

import cramjam
import msgspec

from replay.clock import Shift, shift_to_day
from replay.foreign_values import parted
from replay.manifest import Manifest, read_manifest
from streams.days import MINUTE_MS
from streams.decoding import MAX_TIME_MS
from streams.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from streams.settings import ShopSettings

log = logging.getLogger(__name__)

_Form = TypeVar("_Form")
_Made = TypeVar("_Made")

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_BUFFER_BYTES: Final = 1 << 20


class Line(NamedTuple):
    """One recorded record.

    Attributes:
        topic: as recorded, with the prefix `cm.`.
        timestamp_ms: R, the record timestamp.
        value: None for a null value.
        headers: in their order.
    """

    topic: str
    key: bytes | None
    timestamp_ms: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class _Wire(msgspec.Struct):
    topic: str
    timestamp_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]
    key: str | int | None = None
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    value_base64: str | None = None
    headers: dict[str, str | None] | list[tuple[str, str | None]] | None = None


class _Stamp(msgspec.Struct):
    """A line of which only the time is wanted; the rest is skipped, which is several times as fast."""

    timestamp_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]


@dataclass(slots=True)
class Recording:
    """A recording on disk; open it with `Recording.open`.

    Attributes:
        folder: where it stands.
        manifest: checked.
        files: in the order in which they are read.
        shift: moves every time of every line, so that a recorded day becomes another (`rebased`).
        warnings: what the last whole reading found wrong without being wrong in itself: counts that differ from the
            manifest's, lines that are not in the order of their timestamps.
    """

    folder: Path
    manifest: Manifest
    files: tuple[Path, ...]
    shift: Shift = field(default_factory=Shift)
    warnings: list[str] = field(default_factory=list)
    _found_ms: tuple[int, int] | None = None
    _minutes: Counter[int] | None = None

    @classmethod
    def open(cls, path: Path, known: Mapping[str, ShopSettings] | None = None) -> Recording:
        """Open a recording's folder; `known` are the shops of the settings, see `read_manifest`.

        Raises:
            RecordingError: no folder, no manifest, no file of lines, or a manifest that does not hold.
        """
        folder = Path(path)
        if not folder.is_dir():
            what = f"{folder} is no folder."
            raise RecordingError(what, mend="A recording is a folder with manifest.json and *.jsonl files.")
        manifest = read_manifest(folder, known or {})
        files = sorted(file for file in folder.iterdir() if file.name.endswith(SUFFIXES) and file.is_file())
        if not files:
            what = f"{folder} holds no file that ends in {', '.join(SUFFIXES)}."
            raise RecordingError(what)
        return cls(folder, manifest, tuple(files))

    @property
    def shops(self) -> dict[str, ShopSettings]:
        """Return the settings of the recorded shops by their id."""
        return self.manifest.shops

    @property
    def starts_at_ms(self) -> int:
        """Return the first record timestamp, shifted; 0 where the manifest does not say."""
        return self.shift.instant(self.manifest.starts_at_ms)

    @property
    def ends_at_ms(self) -> int:
        """Return the last record timestamp, shifted; 0 where the manifest does not say."""
        return self.shift.instant(self.manifest.ends_at_ms)

    def span_ms(self) -> tuple[int, int]:
        """Return first and last record timestamp, shifted.

        The records tell, not the manifest: how long cells are kept and which traffic is too late hang on the span.
        Times alone are read for it, once, at about a tenth of what folding costs; the manifest is believed only
        where there is no record.

        Raises:
            RecordingError: a line cannot be read, or there is none and the manifest is silent.
        """
        if self._found_ms is None:
            self._found_ms = self._scan()
        first, last = self._found_ms
        return self.shift.instant(first), self.shift.instant(last)

    def records_between(self, from_ms: int | None, to_ms: int | None) -> int:
        """Return about how many records `lines` yields with these bounds: minutes that one of them cuts count whole.

        Costs nothing beside `span_ms`, whose reading counts them.

        Raises:
            RecordingError: as `span_ms`.
        """
        if self._minutes is None:
            self._found_ms = self._scan()
        first = 0 if from_ms is None else (from_ms - self.shift.by_ms) // MINUTE_MS
        last = MAX_TIME_MS if to_ms is None else (to_ms - self.shift.by_ms) // MINUTE_MS
        return sum(records for minute, records in (self._minutes or {}).items() if first <= minute <= last)

    def _scan(self) -> tuple[int, int]:
        first, last = MAX_TIME_MS, 0
        minutes: Counter[int] = Counter()
        for file in self.files:
            for at_ms in _decoded(file, _Stamp, lambda stamp: stamp.timestamp_ms):
                first, last = min(first, at_ms), max(last, at_ms)
                minutes[at_ms // MINUTE_MS] += 1
        self._minutes = minutes
        if last:
            return first, last
        if self.manifest.starts_at_ms and self.manifest.ends_at_ms:
            return self.manifest.starts_at_ms, self.manifest.ends_at_ms
        what = f"{self.folder} holds no record."
        raise RecordingError(what)

    def shifted(self, shift: Shift) -> Recording:
        """Return the same recording with every time moved."""
        return Recording(
            self.folder, self.manifest, self.files, shift, _found_ms=self._found_ms, _minutes=self._minutes
        )

    def rebased(self, *, today_ms: int, timezone: str = "") -> Recording:
        """Return the same recording with its last day laid on the day of `today_ms`.

        Args:
            today_ms: an instant of the day.
            timezone: whose days they are; empty: those of the first shop, as the manifest has it.

        Raises:
            RecordingError: there is no record.
        """
        _, last_ms = self.span_ms()
        timezone = timezone or next(iter(self.shops.values())).timezone
        return self.shifted(shift_to_day(last_ms, today_ms=today_ms, timezone=timezone))

    def lines(self, *, from_ms: int | None = None, to_ms: int | None = None) -> Iterator[Line]:
        """Yield the records with `from_ms` <= R <= `to_ms` in the recorded order; bounds are in shifted time.

        Streams: memory does not grow with the recording. A reading to the end compares with the manifest's counts
        and fills `warnings`.

        Raises:
            RecordingError: a file cannot be read or a line is none; the message names file and line.
        """
        counts: Counter[str] = Counter()
        disordered = 0
        first_ms, last_ms = MAX_TIME_MS, 0
        for file in self.files:
            for line in _lines_of(file):
                counts[line.topic] += 1
                if line.timestamp_ms < last_ms:
                    disordered += 1
                    first_ms = min(first_ms, line.timestamp_ms)
                else:
                    if not last_ms:
                        first_ms = line.timestamp_ms
                    last_ms = line.timestamp_ms
                at_ms = self.shift.instant(line.timestamp_ms)
                if (from_ms is not None and at_ms < from_ms) or (to_ms is not None and at_ms > to_ms):
                    continue
                yield self._moved(line) if self.shift else line
        if last_ms:
            self._found_ms = first_ms, last_ms
        self._compare(counts, disordered)

    def _moved(self, line: Line) -> Line:
        value = None if line.value is None else self.shift.value(line.value)
        return line._replace(timestamp_ms=self.shift.instant(line.timestamp_ms), value=value)

    def _compare(self, counts: Counter[str], disordered: int) -> None:
        self.warnings.clear()
        for topic, said in self.manifest.topics.items():
            if said.records is not None and said.records != counts[topic]:
                self.warnings.append(
                    f"{self.folder}: the manifest says {said.records} records of {topic}, there are {counts[topic]}"
                )
        for what, said_ms, found_ms in zip(
            ("starts_at_ms", "ends_at_ms"),
            (self.manifest.starts_at_ms, self.manifest.ends_at_ms),
            self._found_ms or (0, 0),
            strict=True,
        ):
            if said_ms and found_ms and said_ms != found_ms:
                self.warnings.append(f"{self.folder}: the manifest says {what} = {said_ms}, it is {found_ms}")
        if disordered:
            self.warnings.append(f"{self.folder}: {disordered} lines are older than the line before them")
        for warning in self.warnings:
            log.warning("%s", warning)


def _lines_of(file: Path) -> Iterator[Line]:
    return _decoded(file, _Wire, _line)


def _decoded(file: Path, form: type[_Form], made: Callable[[_Form], _Made]) -> Iterator[_Made]:
    """Yield what is made of each line of a file; an error names file and line."""
    decoder = msgspec.json.Decoder(form)
    number, raw = 0, b""
    try:
        with _opened(file) as stream:
            for raw in stream:
                number += 1
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)  # some editors put one before a text
                if not raw or raw.isspace():
                    continue
                try:
                    wire = decoder.decode(raw)
                except (msgspec.DecodeError, RecursionError):
                    wire = _with_foreign_value(decoder, raw)
                yield made(wire)
    except (msgspec.DecodeError, RecursionError, binascii.Error, UnicodeError) as error:
        what = f"{file}:{number}: not a line of a recording: {error}."
        mend = "replay/recordings/README.md has the form of a line."
        if not raw.endswith(b"\n"):
            mend = "The last line is cut short: delete it, or copy or record the file again."
        raise RecordingError(what, mend=mend) from error
    except (OSError, EOFError, cramjam.DecompressionError) as error:
        what = f"{file}:{number + 1}: cannot be read: {error}."
        raise RecordingError(what, mend="The file may be cut short; copy or record it again.") from error


def _with_foreign_value(decoder: msgspec.json.Decoder[_Form], raw: bytes) -> _Form:
    """Return a line that cannot be decoded as one whose value cannot; to be called where the error is handled.

    Raises:
        msgspec.DecodeError, RecursionError: the fault is not in the value.
    """
    parts = parted(raw)
    if parts is None:
        raise
    wire = decoder.decode(parts.rest)
    if isinstance(wire, _Wire):
        wire.value = msgspec.Raw(parts.value)
    return wire


def _line(wire: _Wire) -> Line:
    key = wire.key if wire.key is None else str(wire.key).encode()
    if wire.value_base64 is not None:
        value: bytes | None = base64.b64decode(wire.value_base64, validate=True)
    elif wire.value is msgspec.UNSET:
        what = "neither value nor value_base64"
        raise msgspec.DecodeError(what)
    else:
        # A copy: the raw view would keep the whole line alive for as long as the record lives.
        value = bytes(wire.value)
        if value == b"null":
            value = None
    return Line(wire.topic, key, wire.timestamp_ms, value, _headers(wire.headers))


def _headers(
    headers: dict[str, str | None] | list[tuple[str, str | None]] | None,
) -> tuple[tuple[str, bytes], ...]:
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, (text or "").encode()) for name, text in pairs)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file of lines for reading as bytes, whatever its compression."""
    if not file.stat().st_size:
        # No frame at all is no record, as in a plain file; the parser of frames would miss the end of one.
        yield io.BytesIO()
    elif file.name.endswith(".gz"):
        with gzip.open(file, "rb") as stream:
            yield stream  # type: ignore[misc]  # GzipFile is a binary stream in all but its base class
    elif file.name.endswith(".zst"):
        # cramjam takes whole frames only, and one frame may hold a whole day: go through a file, not through memory.
        with tempfile.NamedTemporaryFile(prefix="warroom-", suffix=".jsonl") as unpacked:
            target = cramjam.File(unpacked.name, read=True, write=True, truncate=True)
            with (
                file.open("rb") as packed,
                # Without reading it into memory; cramjam's own files need the right to write.
                mmap.mmap(packed.fileno(), 0, access=mmap.ACCESS_READ) as source,
            ):
                cramjam.zstd.decompress_into(source, target)
            del target
            with Path(unpacked.name).open("rb", buffering=_BUFFER_BYTES) as stream:
                yield stream
    else:
        with file.open("rb", buffering=_BUFFER_BYTES) as stream:
            yield stream
