"""Recordings: what a line may be, what is refused and where, what the manifest must say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import cramjam
import pytest

from replay.clock import Shift
from replay.recording import Line, Recording
from streams.days import DAY_MS
from streams.errors import RecordingError
from streams.settings import ShopSettings

MANIFEST = {
    "format_version": 1,
    "name": "two orders",
    "shop_id": "s1",
    "timezone": "Europe/London",
    "currency": "GBP",
    "starts_at_ms": 1000,
    "ends_at_ms": 2000,
}
LINE = b'{"topic":"cm.orders","key":"o1","timestamp_ms":1000,"value":{"a":1}}\n'


def folder(
    path: Path, files: dict[str, bytes], manifest: dict[str, object] | None = None, **more: object
) -> Path:
    path.mkdir(exist_ok=True)
    (path / "manifest.json").write_text(json.dumps({**(MANIFEST if manifest is None else manifest), **more}))
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def lines(path: Path) -> list[Line]:
    return list(Recording.open(path).lines())


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("a.jsonl", LINE * 3),
        ("a.jsonl.gz", gzip.compress(LINE * 3)),
        ("a.jsonl.zst", bytes(cramjam.zstd.compress(LINE * 3, 1))),
        # What is appended to a compressed file is a frame of its own.
        ("a.jsonl.zst", bytes(cramjam.zstd.compress(LINE, 1)) + bytes(cramjam.zstd.compress(LINE * 2, 1))),
        ("a.jsonl.gz", gzip.compress(LINE) + gzip.compress(LINE * 2)),
    ],
    # A gzip file holds the second in which it was made: named by its bytes, a test would have another name each second.
    ids=["plain", "gzip", "zstd", "zstd, appended to", "gzip, appended to"],
)
def test_plain_gzip_and_zstd_files_hold_the_same_lines(tmp_path: Path, name: str, packed: bytes) -> None:
    assert lines(folder(tmp_path / "r", {name: packed})) == [Line("cm.orders", b"o1", 1000, b'{"a":1}')] * 3


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    second = LINE.replace(b"1000", b"1500").replace(b"o1", b"o2")
    path = folder(tmp_path / "r", {"b.jsonl": second, "a.jsonl.gz": gzip.compress(LINE)})
    assert [line.key for line in lines(path)] == [b"o1", b"o2"]


def test_the_bytes_of_a_value_are_those_of_the_line(tmp_path: Path) -> None:
    odd = b'{ "id": 1, "id": 2, "n": 1.50e2, "s": "\\u00e9\xc3\xa9" }'
    path = folder(
        tmp_path / "r",
        {"a.jsonl": b'{"timestamp_ms":1000,"value":' + odd + b',"topic":"cm.orders","key":null}\n'},
    )
    assert lines(path) == [Line("cm.orders", None, 1000, odd)]


@pytest.mark.parametrize(
    "value",
    [
        b'{"a": NaN, "value": 1}',
        b'{"id": "\\ud800, \\"}"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"n":' * 100_000 + b"-Infinity" + b"}" * 100_000,
        b"{'a': 1}",
        b"undefined",
    ],
    ids=["NaN", "half a surrogate pair", "deep arrays", "deep objects", "wrong quotes", "a word"],
)
@pytest.mark.parametrize(
    "form",
    [
        b'{"topic":"cm.orders","value": %s ,"timestamp_ms":1500}',
        b'{"timestamp_ms":1500,"topic":"cm.orders","value":%s}',
    ],
)
def test_a_value_that_is_no_json_is_a_record_among_its_neighbours(
    tmp_path: Path, form: bytes, value: bytes
) -> None:
    path = folder(tmp_path / "r", {"a.jsonl": LINE + form.replace(b"%s", value) + b"\n" + LINE})
    assert [line.value for line in lines(path)] == [b'{"a":1}', value, b'{"a":1}']


def test_the_span_is_read_past_a_value_that_is_no_json(tmp_path: Path) -> None:
    silent = {key: value for key, value in MANIFEST.items() if not key.endswith("_ms")}
    bad = b'{"topic":"cm.orders","timestamp_ms":4000,"value":{"a":NaN}}\n'
    path = folder(tmp_path / "r", {"a.jsonl": LINE + bad}, manifest=silent)
    assert Recording.open(path).span_ms() == (1000, 4000)


def test_base64_null_and_headers_come_as_bytes(tmp_path: Path) -> None:
    content = (
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1,"value_base64":"/wA=","headers":{"h":"x"}}\n'
        b'{"topic":"cm.orders","key":7,"timestamp_ms":2,"value":null,"headers":[["h","x"],["h","y"]]}\n'
    )
    assert lines(folder(tmp_path / "r", {"a.jsonl": content})) == [
        Line("cm.orders", b"k", 1, b"\xff\x00", (("h", b"x"),)),
        Line("cm.orders", b"7", 2, None, (("h", b"x"), ("h", b"y"))),
    ]


def test_from_and_to_are_both_included(tmp_path: Path) -> None:
    content = b"".join(LINE.replace(b"1000", b"%d" % at) for at in (10, 20, 30, 40))
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": content}))
    assert [line.timestamp_ms for line in recording.lines(from_ms=20, to_ms=30)] == [20, 30]


def test_how_many_records_lie_between_two_minutes_is_known_from_the_reading_of_the_span(
    tmp_path: Path,
) -> None:
    minutes = (10, 11, 11, 12, 40)
    content = b"".join(LINE.replace(b"1000", b"%d" % (60_000 * minute + 5)) for minute in minutes)
    path = folder(tmp_path / "r", {"a.jsonl": content[: len(content) // 5 * 2], "b.jsonl": b""})
    (path / "b.jsonl").write_bytes(content[len(content) // 5 * 2 :])
    recording = Recording.open(path)
    assert recording.span_ms() == (600_005, 2_400_005)
    for file in recording.files:
        file.unlink()
    assert recording.records_between(None, None) == 5
    assert recording.records_between(11 * 60_000, 12 * 60_000 + 59_999) == 3
    assert recording.records_between(13 * 60_000, None) == 1
    assert recording.records_between(None, 9 * 60_000) == 0
    # A day later by the clock of whoever moved it.
    moved = recording.shifted(Shift(by_ms=DAY_MS, days=1))
    assert moved.records_between(DAY_MS + 11 * 60_000, DAY_MS + 12 * 60_000) == 3


def test_the_last_day_is_laid_on_today_in_the_zone_that_is_asked_for(tmp_path: Path) -> None:
    # 23:30 in London on 28 November 2024, and already the 29th in Tokyo.
    recorded_ms = 1_732_836_600_000
    content = LINE.replace(b"1000", b"%d" % recorded_ms)
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": content}))
    noon_ms = 1_764_072_000_000
    in_tokyo = recording.rebased(today_ms=noon_ms, timezone="Asia/Tokyo")
    assert in_tokyo.shift.days == recording.rebased(today_ms=noon_ms).shift.days - 1


def test_blank_lines_and_a_missing_last_newline_are_no_fault(tmp_path: Path) -> None:
    assert len(lines(folder(tmp_path / "r", {"a.jsonl": LINE + b"\n" + LINE.rstrip()}))) == 2


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.jsonl.zst"])
def test_a_file_without_a_byte_holds_no_record(tmp_path: Path, name: str) -> None:
    assert len(lines(folder(tmp_path / "r", {"a.jsonl": LINE, name: b"", "c.jsonl": LINE}))) == 2


def test_a_byte_order_mark_and_the_line_ends_of_windows_are_no_fault(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + (LINE * 2).replace(b"\n", b"\r\n")
    path = folder(tmp_path / "r", {"a.jsonl": content, "b.jsonl": b"\xef\xbb\xbf"})
    assert lines(path) == [Line("cm.orders", b"o1", 1000, b'{"a":1}')] * 2


def test_a_folder_among_the_files_is_no_file_of_lines(tmp_path: Path) -> None:
    path = folder(tmp_path / "r", {"a.jsonl": LINE})
    (path / "old.jsonl").mkdir()
    assert len(lines(path)) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1,"value":}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1,"value":{"a":NaN}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":NaN,"value":{"a":NaN}}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1,"value":{"a":NaN}} {}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":"soon","value":{}}',
        b'{"key":"k","timestamp_ms":1,"value":{}}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":-1,"value":{}}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":9223372036854775808,"value":{}}',
        b'{"topic":"cm.orders","key":"k","timestamp_ms":1,"value_base64":"%%%"}',
        b"\xff\xfe",
    ],
)
def test_a_broken_line_is_refused_with_file_and_line(tmp_path: Path, broken: bytes) -> None:
    path = folder(tmp_path / "r", {"a.jsonl": LINE + broken + b"\n" + LINE})
    with pytest.raises(RecordingError, match=r"a\.jsonl:2: not a line.* has the form of a line"):
        lines(path)


def test_a_last_line_that_is_cut_short_is_refused_as_such(tmp_path: Path) -> None:
    path = folder(tmp_path / "r", {"a.jsonl": LINE + LINE + LINE[:30]})
    with pytest.raises(RecordingError, match=r"a\.jsonl:3: not a line.* cut short: delete it"):
        lines(path)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    text = b"".join(LINE.replace(b"o1", b"o%d" % number) for number in range(5000))
    packed = gzip.compress(text) if suffix == "gz" else bytes(cramjam.zstd.compress(text, 1))
    path = folder(tmp_path / "r", {f"a.jsonl.{suffix}": packed[: len(packed) // 2]})
    with pytest.raises(RecordingError, match=r"a\.jsonl\.(gz|zst):\d+: cannot be read"):
        lines(path)


def test_wrong_counts_are_a_warning_and_missing_ones_are_not(tmp_path: Path) -> None:
    topics = {"cm.orders": {"records": 2, "bytes": 7}}
    counted = folder(tmp_path / "r", {"a.jsonl": LINE}, topics=topics, ends_at_ms=1000)
    recording = Recording.open(counted)
    assert len(list(recording.lines())) == 1
    assert len(recording.warnings) == 1
    assert "2 records of cm.orders, there are 1" in recording.warnings[0]

    silent = Recording.open(folder(tmp_path / "q", {"a.jsonl": LINE}, ends_at_ms=1000))
    assert len(list(silent.lines())) == 1
    assert silent.warnings == []


def test_lines_out_of_order_are_a_warning(tmp_path: Path) -> None:
    content = LINE + LINE.replace(b"1000", b"999")
    path = folder(tmp_path / "r", {"a.jsonl": content}, starts_at_ms=999, ends_at_ms=1000)
    recording = Recording.open(path)
    list(recording.lines())
    assert "1 lines are older" in recording.warnings[0]


def test_a_manifest_gives_one_shop_or_a_list(tmp_path: Path) -> None:
    one = Recording.open(folder(tmp_path / "one", {"a.jsonl": LINE}))
    assert one.shops["s1"].timezone == "Europe/London"
    # The recording's name is not the shop's.
    assert one.shops["s1"].name == ""

    shops = [
        {"shop_id": "a", "timezone": "Asia/Tokyo", "currency": "JPY", "name": "A", "stock_feed": "periodic"},
        {"shop_id": "b", "timezone": "UTC", "currency": "EUR", "required_topics": ["orders", "clicks"]},
    ]
    many = Recording.open(folder(tmp_path / "many", {"a.jsonl": LINE}, manifest={"shops": shops}))
    assert list(many.shops) == ["a", "b"]
    assert many.shops["a"].stock_feed == "periodic"
    assert many.shops["b"].required_topics == ("orders", "clicks")


def test_an_integer_id_of_a_shop_is_its_text_as_in_its_records(tmp_path: Path) -> None:
    assert list(Recording.open(folder(tmp_path / "r", {"a.jsonl": LINE}, shop_id=17)).shops) == ["17"]


def test_other_keys_of_a_manifest_are_kept(tmp_path: Path) -> None:
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": LINE}, synthetic=True, weather="rain"))
    assert recording.manifest.synthetic
    assert recording.manifest.document()["weather"] == "rain"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "no IANA zone"),
        ({"timezone": ""}, "`timezone` of the shop is missing"),
        ({"currency": 5}, "do not fit"),
        ({"format_version": 2}, "format_version"),
        ({"starts_at_ms": "noon"}, "starts_at_ms"),
        ({"shops": []}, "empty"),
        ({"topics": []}, "topics"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(RecordingError, match=said):
        Recording.open(folder(tmp_path / "r", {"a.jsonl": LINE}, manifest={**MANIFEST, **change}))


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no folder"):
        Recording.open(tmp_path / "missing")
    with pytest.raises(RecordingError, match=r"no manifest\.json"):
        Recording.open(tmp_path)
    with pytest.raises(RecordingError, match="holds no file"):
        Recording.open(folder(tmp_path / "r", {}))


@pytest.mark.parametrize(("starts_at_ms", "ends_at_ms"), [(None, None), (2000, 3000), (1, 10**15)])
def test_the_span_is_that_of_the_lines_whatever_the_manifest_says(
    tmp_path: Path, starts_at_ms: int | None, ends_at_ms: int | None
) -> None:
    said = {**MANIFEST, "starts_at_ms": starts_at_ms, "ends_at_ms": ends_at_ms}
    content = LINE + LINE.replace(b"1000", b"4000")
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": content}, manifest=said))
    assert recording.span_ms() == (1000, 4000)


def test_zone_and_currency_of_a_shop_of_the_settings_need_not_stand_in_the_manifest(tmp_path: Path) -> None:
    bare = {key: value for key, value in MANIFEST.items() if key not in ("timezone", "currency")}
    path = folder(tmp_path / "r", {"a.jsonl": LINE}, manifest=bare)
    known = {"s1": ShopSettings("s1", "Asia/Tokyo", "JPY")}
    shop = Recording.open(path, known).shops["s1"]
    assert (shop.timezone, shop.currency) == ("Asia/Tokyo", "JPY")
    with pytest.raises(RecordingError, match="`timezone` of the shop is missing"):
        Recording.open(path, {"s2": known["s1"]})


def test_without_a_record_the_manifest_tells_the_span(tmp_path: Path) -> None:
    assert Recording.open(folder(tmp_path / "r", {"a.jsonl": b""})).span_ms() == (1000, 2000)
    silent = {key: value for key, value in MANIFEST.items() if not key.endswith("_ms")}
    with pytest.raises(RecordingError, match="holds no record"):
        Recording.open(folder(tmp_path / "s", {"a.jsonl": b""}, manifest=silent)).span_ms()


def test_a_manifest_that_does_not_know_something_may_say_null(tmp_path: Path) -> None:
    unknown = dict.fromkeys(
        ["name", "starts_at_ms", "ends_at_ms", "topics", "source", "licence", "shops", "stock_feed"]
    )
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": LINE}, **unknown))
    assert recording.span_ms() == (1000, 1000)
    assert (recording.manifest.name, recording.manifest.topics) == ("r", {})
    assert (recording.manifest.source, recording.manifest.licence) == ("", "")


def test_a_whole_reading_warns_of_a_wrong_span_in_the_manifest(tmp_path: Path) -> None:
    content = LINE.replace(b"1000", b"1500") + LINE + LINE.replace(b"1000", b"4000")
    recording = Recording.open(folder(tmp_path / "r", {"a.jsonl": content}))
    assert len(list(recording.lines(to_ms=1200))) == 1
    assert recording.span_ms() == (1000, 4000)
    assert [warning for warning in recording.warnings if "ends_at_ms" in warning] == [
        f"{tmp_path / 'r'}: the manifest says ends_at_ms = 2000, it is 4000"
    ]
