"""The bytes of the state, facts and dead-letter topics.

Keys are msgpack lists that begin with the kind of row. Values of state and facts are a CRC-32 (4 bytes, big endian,
over key and payload) and a msgpack payload; a null value forgets the key. In each topic that a flush writes, its last
record is a `flush` mark with the flush's number and all topics written: a reader that has the mark in all of them has
the whole flush. A dead letter is JSON under its place, so that any tool can read it.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from streams.cubes import DEFINITIONS, is_former
from streams.errors import StateError
from streams.events import FACT_TYPES
from streams.outcomes import Outcome
from streams.records import DEAD_LETTER_BYTES, DeadLetter
from streams.state import (
    CubeRow,
    FactKey,
    FactRow,
    Flush,
    PeopleRow,
    Position,
    RepeatChunk,
    RowKey,
    ShopSpan,
    StateRow,
)
from streams.topics import FACTS, STATE

_REFOLD: Final = (
    "Start with a new prefix and app, or delete this prefix's state and facts topics: "
    "the worker then folds the source topics again from their beginning."
)
_CRC_BYTES: Final = 4
_ROW, _PEOPLE, _POSITION, _REPEATS, _FLUSH, _FACT = "row", "people", "position", "repeats", "flush", "fact"
_CUBE: Final = "cube"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Any]).decode
_decode_fact: Final = msgspec.msgpack.Decoder(
    tuple[int, int, int, int, int, list[tuple[str, int]], msgspec.Raw]
).decode
_FACT_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in FACT_TYPES.items()}

Record = tuple[bytes, bytes | None]


class FlushMark(NamedTuple):
    """The last record of a flush in each topic that it wrote.

    Attributes:
        number: of the flush, rising by one.
        topics: all topics that the flush wrote, without prefix; `state` is always among them.
    """

    number: int
    topics: tuple[str, ...]


class EncodedFlush(NamedTuple):
    """A flush as records of (key, value), per topic, to be written in this order in one transaction."""

    state: list[Record]
    facts: list[Record]
    dead_letters: list[Record]


StateRecord = StateRow | PeopleRow | Position | RepeatChunk | CubeRow | FlushMark | FactRow


def encode_flush(flush: Flush) -> EncodedFlush:
    """Return the records of a flush; the last one of `state`, and of `facts` if it has any, is its mark."""
    topics = (STATE.name, FACTS.name) if flush.facts else (STATE.name,)
    mark = _record([_FLUSH], [flush.number, topics])
    state = [_encode_row(row) for row in flush.rows]
    state += [_encode_people(people) for people in flush.people]
    state += [_encode_repeats(chunk) for chunk in flush.repeats]
    state += [_encode_cube(cube) for cube in flush.cubes]
    state += [_encode_position(position) for position in flush.positions]
    state.append(mark)
    facts = [_encode_fact(fact) for fact in flush.facts]
    if facts:
        facts.append(mark)
    letters: list[Record] = [
        (letter.place.encode(), encode_dead_letter(letter)) for letter in flush.dead_letters
    ]
    return EncodedFlush(state, facts, letters)


def decode_state(
    key: bytes, value: bytes | None
) -> StateRow | PeopleRow | Position | RepeatChunk | CubeRow | FlushMark:
    """Read one record of the state topic; rows of a cube that is declared former are read, too.

    Raises:
        StateError: the record is of no kind that this version knows, its checksum is wrong, or it belongs to a cube
            that is neither ours nor declared former.
    """
    kind, *ids = _decode_key(key)
    try:
        if kind == _ROW:
            return _state_row(ids, None if value is None else _payload(key, value))
        if kind == _PEOPLE:
            return PeopleRow(_row_key(ids), None if value is None else _payload(key, value)[0])
        if kind == _REPEATS:
            image = None if value is None else _payload(key, value)[0]
            return RepeatChunk(ids[0], ids[1], ids[2], image)
        if kind == _CUBE:
            return _cube_row(ids, None if value is None else _payload(key, value))
        if kind == _POSITION and value is not None:
            return _position(ids[0], _payload(key, value))
        if kind == _FLUSH and value is not None:
            number, topics = _payload(key, value)
            return FlushMark(number, tuple(topics))
    except (msgspec.MsgspecError, TypeError, ValueError, IndexError, KeyError) as error:
        _refuse(f"A record of the state topic cannot be read ({kind}): {error}.", error)
    return _refuse(f"The state topic holds a record of kind {kind!r} that this version does not know.")


def decode_fact(key: bytes, value: bytes | None) -> FactRow | FlushMark:
    """Read one record of the facts topic.

    Raises:
        StateError: the record is of no kind that this version knows, or its checksum is wrong.
    """
    kind, *ids = _decode_key(key)
    try:
        if kind == _FLUSH and value is not None:
            number, topics = _payload(key, value)
            return FlushMark(number, tuple(topics))
        if kind == _FACT and value is not None:
            return _fact_row(FactKey(ids[0], ids[1], tuple(ids[2:])), _checked(key, value))
    except (msgspec.MsgspecError, TypeError, ValueError, IndexError, KeyError) as error:
        _refuse(f"A record of the facts topic cannot be read ({kind}): {error}.", error)
    return _refuse(f"The facts topic holds a record of kind {kind!r} that this version does not know.")


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Return a dead letter's JSON; a key longer than `DEAD_LETTER_BYTES` is cut like a value."""
    return msgspec.json.encode(
        {
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "timestamp_ms": letter.timestamp_ms,
            "outcome": letter.outcome.value,
            "detail": letter.detail,
            "key_base64": _to_base64(letter.key),
            "value_base64": _to_base64(letter.value),
            "value_bytes": letter.value_bytes,
            "value_sha256": letter.value_sha256,
        }
    )


def decode_dead_letter(value: bytes) -> DeadLetter:
    """Read a dead letter back.

    Raises:
        StateError: the bytes are not a dead letter of this version.
    """
    try:
        fields = msgspec.json.decode(value, type=dict[str, Any])
        return DeadLetter(
            topic=fields["topic"],
            partition=fields["partition"],
            offset=fields["offset"],
            timestamp_ms=fields["timestamp_ms"],
            key=_from_base64(fields["key_base64"]),
            value=_from_base64(fields["value_base64"]),
            value_bytes=fields["value_bytes"],
            value_sha256=fields["value_sha256"],
            outcome=Outcome(fields["outcome"]),
            detail=fields["detail"],
        )
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError) as error:
        _refuse(f"A dead letter cannot be read: {error}.", error)


def _encode_row(row: StateRow) -> Record:
    row_key, count, keyed, sketch = row
    key = _encode_row_key(_ROW, row_key)
    return key, None if count is None else _sealed(key, _encode((count, keyed, sketch)))


def _encode_people(people: PeopleRow) -> Record:
    key = _encode_row_key(_PEOPLE, people.key)
    return key, None if people.image is None else _sealed(key, _encode((people.image,)))


def _encode_row_key(kind: str, key: RowKey) -> bytes:
    cube, definition, shop_id, bucket, event_type, dims = key
    return _encode((kind, cube, definition, shop_id, bucket, event_type, *dims))


def _encode_repeats(chunk: RepeatChunk) -> Record:
    key = _encode((_REPEATS, chunk.topic, chunk.generation, chunk.sequence))
    return key, None if chunk.image is None else _sealed(key, _encode((chunk.image,)))


def _encode_cube(row: CubeRow) -> Record:
    key = _encode((_CUBE, row.cube, row.definition))
    if row.begins is None:
        return key, None
    return key, _sealed(key, _encode((row.begins, row.since_ms, row.handed, row.asked_ms)))


def _encode_position(position: Position) -> Record:
    outcomes = {outcome.value: records for outcome, records in position.outcomes.items()}
    return _record(
        (_POSITION, position.topic),
        (position.next_offset, position.last_timestamp_ms, outcomes, position.shops, position.heard),
    )


def _encode_fact(fact: FactRow) -> Record:
    return _record(
        (_FACT, fact.key.kind, fact.key.shop_id, *fact.key.ids),
        (
            fact.version,
            fact.occurred_at_ms,
            fact.body_hash,
            fact.received_at_ms,
            fact.copies,
            fact.topics,
            fact.event,
        ),
    )


def _row_key(ids: list[Any]) -> RowKey:
    cube_name, definition, shop_id, bucket, event_type, *dims = ids
    if DEFINITIONS.get(cube_name) != definition:
        _check_former(cube_name, definition)
    return RowKey(cube_name, definition, shop_id, bucket, event_type, tuple(dims))


def _check_former(cube_name: str, definition: str) -> None:
    """Refuse a definition that is neither ours nor declared former: most likely a later version's."""
    ours = DEFINITIONS.get(cube_name)
    if is_former(cube_name, definition):
        return
    if ours is None:
        _refuse(f"The state holds rows of a cube {cube_name!r} that this version does not have.")
    _refuse(
        f"The state of cube {cube_name!r} was written under another definition "
        f"({definition}, this version has {ours})."
    )


def _cube_row(ids: list[Any], payload: list[Any] | None) -> CubeRow:
    name, definition = ids
    if DEFINITIONS.get(name) != definition:
        _check_former(name, definition)
    if payload is None:
        return CubeRow(name, definition, None, 0, 0)
    return CubeRow(name, definition, *payload)


def _state_row(ids: list[Any], payload: list[Any] | None) -> StateRow:
    key = _row_key(ids)
    if payload is None:
        return StateRow(key, None, 0, None)
    count, keyed, sketch = payload
    return StateRow(key, count, keyed, sketch)


def _position(topic: str, payload: list[Any]) -> Position:
    # State of before heartbeats were noted has no fifth part.
    next_offset, last_timestamp_ms, outcomes, shops, *heard = payload
    return Position(
        topic=topic,
        next_offset=next_offset,
        last_timestamp_ms=last_timestamp_ms,
        outcomes={Outcome(name): records for name, records in outcomes.items()},
        shops={shop_id: ShopSpan(*span) for shop_id, span in shops.items()},
        heard=heard[0] if heard else {},
    )


def _fact_row(key: FactKey, payload: bytes) -> FactRow:
    version, occurred_at_ms, body_hash, received_at_ms, copies, topics, raw = _decode_fact(payload)
    event = _FACT_DECODERS[key.kind].decode(raw)
    return FactRow(key, version, occurred_at_ms, body_hash, received_at_ms, copies, event, tuple(topics))


def _record(key_parts: object, payload: object) -> Record:
    key = _encode(key_parts)
    return key, _sealed(key, _encode(payload))


def _sealed(key: bytes, payload: bytes) -> bytes:
    return zlib.crc32(payload, zlib.crc32(key)).to_bytes(_CRC_BYTES, "big") + payload


def _checked(key: bytes, value: bytes) -> bytes:
    payload = value[_CRC_BYTES:]
    if zlib.crc32(payload, zlib.crc32(key)) != int.from_bytes(value[:_CRC_BYTES], "big"):
        _refuse(f"A record of the state has a wrong checksum (key {key!a}).")
    return payload


def _payload(key: bytes, value: bytes) -> list[Any]:
    return _decode(_checked(key, value))


def _decode_key(key: bytes) -> list[Any]:
    try:
        parts = _decode(key)
    except msgspec.MsgspecError as error:
        _refuse(f"The state holds a record with an unreadable key {key!a}.", error)
    if not parts:
        _refuse("The state holds a record with an empty key.")
    return parts


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise StateError(what, mend=_REFOLD) from cause


def _to_base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content[:DEAD_LETTER_BYTES]).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
