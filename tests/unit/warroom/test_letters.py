"""`warroom dead-letters`: what is printed of records that cannot count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.dead_letters import SentAgain
from streams.errors import QueryError
from streams.outcomes import Outcome
from streams.records import DeadLetter
from streams.settings import Settings
from warroom import letters
from warroom.cli import main

HOSTILE = b'{"sku":"\x1b]0;owned\x07\xff"}'


def letter(**more: Any) -> DeadLetter:
    values: dict[str, Any] = {
        "topic": "orders",
        "partition": 3,
        "offset": 1234,
        "timestamp_ms": 5,
        "outcome": Outcome.REJECTED_SCHEMA,
        "detail": "quantity is not above 0",
        "key": b"o-1",
        "value": HOSTILE,
        "value_bytes": len(HOSTILE),
        "value_sha256": "ab" * 32,
    }
    return DeadLetter(**{**values, **more})


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[DeadLetter]:
    """The letters that the broker has; finding and getting go by them."""
    stored: list[DeadLetter] = []

    async def find(
        _: Settings, *, outcomes: Sequence[Outcome] | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        return [one for one in stored if outcomes is None or one.outcome in outcomes][:limit]

    async def get(_: Settings, place: str) -> DeadLetter:
        return next(one for one in stored if one.place == place)

    monkeypatch.setattr("warroom.letters.dead_letters.find", find)
    monkeypatch.setattr("warroom.letters.dead_letters.get", get)
    return stored


def test_a_list_names_place_and_reason(kept: list[DeadLetter], capsys: pytest.CaptureFixture[str]) -> None:
    kept += [letter(), letter(offset=1235, outcome=Outcome.REJECTED_TYPE)]
    letters.list_all(Settings(), 50, None, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.split(None, 2) == ["orders/3/1234", "rejected_schema", "quantity is not above 0"]
    assert "orders/3/1235" in second


def test_a_list_can_be_kept_to_one_reason(kept: list[DeadLetter], capsys: pytest.CaptureFixture[str]) -> None:
    kept += [letter(), letter(offset=1235, outcome=Outcome.REJECTED_TYPE)]
    letters.list_all(Settings(), 50, "rejected_type", as_json=True)
    assert [one["place"] for one in json.loads(capsys.readouterr().out)] == ["orders/3/1235"]


def test_an_unknown_reason_is_refused_with_the_known_ones(kept: list[DeadLetter]) -> None:
    for wrong in ("rejected_shape", "counted"):
        with pytest.raises(QueryError, match="rejected_schema") as refused:
            letters.list_all(Settings(), 50, wrong, as_json=False)
        assert refused.value.reason == "unknown_reason"


def test_an_empty_list_says_so_and_stays_json_for_programs(
    kept: list[DeadLetter], capsys: pytest.CaptureFixture[str]
) -> None:
    letters.list_all(Settings(), 50, None, as_json=False)
    assert capsys.readouterr().out == "No dead letters.\n"
    letters.list_all(Settings(), 50, None, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_foreign_bytes_are_shown_and_never_sent_to_the_terminal(
    kept: list[DeadLetter], capsys: pytest.CaptureFixture[str]
) -> None:
    kept.append(letter(detail="type \x1b[2J", key=b"\x1b[31m"))
    letters.show(Settings(), "orders/3/1234", as_json=False)
    letters.list_all(Settings(), 50, None, as_json=False)
    out = capsys.readouterr().out
    assert not {character for character in out if not character.isprintable()} - {"\n"}
    assert r"\x1b[2J" in out
    assert r"\x1b]0;owned\x07" in out


def test_a_letter_is_shown_whole_to_programs(
    kept: list[DeadLetter], capsys: pytest.CaptureFixture[str]
) -> None:
    kept.append(letter(key=None, value=None, value_bytes=0))
    letters.show(Settings(), "orders/3/1234", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["outcome"] == "rejected_schema"
    assert (shown["key"], shown["value"], shown["value_bytes"]) == (None, None, 0)


def test_what_was_sent_again_is_said_with_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[tuple[str, ...], bytes | None]] = []

    async def send_again(
        _: Settings, places: tuple[str, ...], *, repaired: bytes | None = None
    ) -> list[SentAgain]:
        asked.append((places, repaired))
        return [SentAgain(place, "orders/3/9", repaired is not None) for place in places]

    monkeypatch.setattr("warroom.letters.dead_letters.send_again", send_again)
    value = tmp_path / "value.json"
    value.write_bytes(b'{"a":1}\n')
    letters.send_again(Settings(), ("orders/3/1", "orders/3/2"), None, as_json=False)
    letters.send_again(Settings(), ("orders/3/1",), value, as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["orders/3/1 sent again as orders/3/9", "orders/3/2 sent again as orders/3/9"]
    assert json.loads(lines[2]) == [{"place": "orders/3/1", "sent_to": "orders/3/9", "repaired": True}]
    # The repaired bytes go as they are: whoever repairs decides about every byte.
    assert asked == [(("orders/3/1", "orders/3/2"), None), (("orders/3/1",), b'{"a":1}\n')]


@pytest.mark.parametrize(("more", "prefix"), [([], "cm."), (["--replay", "friday"], "replay.friday.")])
@pytest.mark.parametrize(
    ("name", "arguments"), [("list_all", ["list"]), ("show", ["show", "a"]), ("send_again", ["send", "a"])]
)
def test_letters_of_a_replay_are_asked_for_by_its_id(
    monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str], more: list[str], prefix: str
) -> None:
    asked: list[Settings] = []
    monkeypatch.setattr(letters, name, lambda settings, *_, **__: asked.append(settings))
    assert CliRunner().invoke(main, ["dead-letters", *arguments, *more]).exit_code == 0
    assert [one.kafka.prefix for one in asked] == [prefix]
