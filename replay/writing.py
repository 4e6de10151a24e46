"""Writing of recordings: lines into compressed parts, counts into the manifest, the manifest last.

The same records give the same bytes: nothing of a clock or a host goes into the files.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import cramjam
import msgspec

from replay.manifest import MANIFEST_NAME, Manifest, TopicCount
from replay.recording import SUFFIXES
from streams.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

Compression = Literal["none", "gz", "zst"]

_FRAME_BYTES: Final = 8 << 20
"""Lines are compressed in frames of about this size; readers take frames one after the other as one stream."""

_LEVEL: Final = 9


class RecordingWriter:
    """Write a recording; use it as a context manager. A folder whose writing failed has no manifest, so it is none.

    Lines must come in the order of their timestamps.

    Args:
        folder: made if missing; must not hold another recording.
        manifest: everything but counts and span, which the writer fills in.
        compression: of the parts.
        level: of the compression; 1 is fast, 9 is for what is kept.

    Raises:
        RecordingError: the folder holds lines or a manifest already.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, compression: Compression = "zst", level: int = _LEVEL
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(file.name == MANIFEST_NAME or file.name.endswith(SUFFIXES) for file in folder.iterdir()):
            what = f"{folder} holds a recording already."
            raise RecordingError(what, mend="Name another folder, or remove it first.")
        self.folder = folder
        self._manifest = manifest
        self._compression = compression
        self._level = level
        suffix = "" if compression == "none" else f".{compression}"
        self._file = (folder / f"part-0000.jsonl{suffix}").open("wb")
        self._buffer = bytearray()
        self._records: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._first_ms: int | None = None
        self._last_ms = 0

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._file.close()

    def write(
        self,
        topic: str,
        key: str | None,
        timestamp_ms: int,
        value: bytes | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Append one record; a value that is not one JSON text in one line goes into `value_base64`."""
        head = json.dumps(topic), json.dumps(key), timestamp_ms
        self._buffer += b'{"topic":%s,"key":%s,"timestamp_ms":%d,' % (
            head[0].encode(),
            head[1].encode(),
            timestamp_ms,
        )
        if headers:
            self._buffer += b'"headers":%s,' % msgspec.json.encode(dict(headers))
        if value is None:
            self._buffer += b'"value":null}\n'
        elif _is_json_line(value):
            self._buffer += b'"value":%s}\n' % value
        else:
            self._buffer += b'"value_base64":"%s"}\n' % base64.b64encode(value)
        self._count(topic, 1, len(value or b""), timestamp_ms, timestamp_ms)
        if len(self._buffer) >= _FRAME_BYTES:
            self._flush()

    def write_lines(
        self, lines: bytes, counts: Iterable[tuple[str, int, int]], *, first_ms: int, last_ms: int
    ) -> None:
        """Append ready lines, each with its newline.

        Args:
            lines: in the form of a recording, in the order of their timestamps.
            counts: topic, records, bytes of their values.
            first_ms: their least timestamp.
            last_ms: their greatest.
        """
        self._buffer += lines
        for topic, records, size in counts:
            self._count(topic, records, size, first_ms, last_ms)
        if len(self._buffer) >= _FRAME_BYTES:
            self._flush()

    def finish(self) -> Manifest:
        """Write what is left, then the manifest, and return it."""
        self._flush()
        self._file.close()
        self._manifest = replace(
            self._manifest,
            starts_at_ms=self._first_ms or 0,
            ends_at_ms=self._last_ms,
            topics={name: TopicCount(self._records[name], self._bytes[name]) for name in self._records},
        )
        text = json.dumps(self._manifest.document(), indent=1, ensure_ascii=False)
        partial = self.folder / f".{MANIFEST_NAME}.partial"
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.folder / MANIFEST_NAME)
        return self._manifest

    @property
    def manifest(self) -> Manifest:
        """Return the manifest; counts and span are in it once `finish` has run."""
        return self._manifest

    def _count(self, topic: str, records: int, size: int, first_ms: int, last_ms: int) -> None:
        self._records[topic] += records
        self._bytes[topic] += size
        self._first_ms = first_ms if self._first_ms is None else min(self._first_ms, first_ms)
        self._last_ms = max(self._last_ms, last_ms)

    def _flush(self) -> None:
        if not self._buffer:
            return
        content = bytes(self._buffer)
        self._buffer.clear()
        if self._compression == "gz":
            content = gzip.compress(content, self._level, mtime=0)
        elif self._compression == "zst":
            content = bytes(cramjam.zstd.compress(content, self._level))
        self._file.write(content)


def _is_json_line(value: bytes) -> bool:
    """Tell whether the value can stand in a line as it is and be read back as the same bytes."""
    if b"\n" in value or b"\r" in value or value.strip() != value or value == b"null":
        return False
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
        json.loads(value, parse_constant=_refuse)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
