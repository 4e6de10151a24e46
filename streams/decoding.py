"""Turn the bytes of one record into an event, or into the reason why not. This is the authority on what is valid.

The columnar path (`streams.fast_decoding`) may only accept what this module accepts, with equal values.

The order of checks is part of the contract, because a record that fails two of them has one outcome:
size, replay header, JSON and `event_type` (schema), known type, the type's shape and bounds (schema), shop, currency,
time, future, too late. The first two and the last five are in `streams.validation`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import inspect

from streams.event_faults import FAULTS
from streams.events import EVENT_TYPES, Event, Source
from streams.outcomes import Outcome

MAX_ID_CHARACTERS: Final = 128
MAX_TIME_MS: Final = 253_402_300_799_999
"""The end of the year 9999; times further from the epoch are no times, and would not fit into columns."""

MAX_NESTING: Final = 200
"""Most objects and arrays inside each other. The parser's own limit is what is left of the caller's stack: with that
alone, one record could count in one process and be refused in another."""
OBJECT_BYTES: Final = 5
ARRAY_BYTES: Final = 2
"""Least bytes of a level of objects, of arrays."""

CONTROL_CHARACTERS: Final = "[\\x00-\\x1f\\x7f-\\x9f]"
"""What no id may hold (spec/events.md, envelope), as a pattern that Python and polars read alike."""

_CONTROL = re.compile(CONTROL_CHARACTERS)
# Possessive, and content without a closing quote: from no quote is it tried twice, so hostile text costs linear time.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SHOWN_CHARACTERS = 60


class Refusal(NamedTuple):
    """Why a record cannot count; `detail` is for a person: field, bound, what was found."""

    outcome: Outcome
    detail: str


class _Probe(msgspec.Struct):
    event_type: str


class _Plan(NamedTuple):
    """Where ids and nested blocks stand in a class of the wire."""

    ids: tuple[str, ...]
    id_lists: tuple[str, ...]
    blocks: tuple[str, ...]
    block_lists: tuple[str, ...]


_PROBE = msgspec.json.Decoder(_Probe)
DECODERS: Final = {name: msgspec.json.Decoder(event_type) for name, event_type in EVENT_TYPES.items()}


def decode(value: bytes | None) -> Event | Refusal:
    """Decode and check one record's value; ids come out as text. Never raises for data."""
    if not value:
        found = "null (a tombstone)" if value is None else "empty"
        return Refusal(Outcome.REJECTED_SCHEMA, f"the value is {found}")
    try:
        if not value.isascii():
            value.decode()
        if nested_too_deeply(value):
            return Refusal(Outcome.REJECTED_SCHEMA, f"nested too deeply: more than {MAX_NESTING} levels")
        event_type = _PROBE.decode(value).event_type
        decoder = DECODERS.get(event_type)
        if decoder is None:
            return Refusal(Outcome.REJECTED_TYPE, f"unknown event_type {shown(event_type)}")
        event = decoder.decode(value)
    except UnicodeDecodeError as error:
        return Refusal(Outcome.REJECTED_SCHEMA, f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        return Refusal(Outcome.REJECTED_SCHEMA, "nested too deeply")
    except (msgspec.MsgspecError, ValueError) as error:
        again = _without_nulls(value) if isinstance(error, msgspec.ValidationError) else None
        if again is None:
            return Refusal(Outcome.REJECTED_SCHEMA, str(error))
        event = again
    return settle(event)


def _without_nulls(value: bytes) -> Event | None:
    """Decode well-formed JSON as if every field that is null were absent; None where that is no event either.

    Many writers say null for what they do not have. For a field without a default both are one to msgspec; this makes
    them one for the others (`quantity`, `warehouse_id`, `coupon_codes`...). A required field that is null is missing.
    """
    if b"null" not in value:
        return None
    try:
        fields = _present(msgspec.json.decode(value))
        event: Event = DECODERS[fields["event_type"]].decode(msgspec.json.encode(fields))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, KeyError, TypeError):
        return None
    return event


def _present(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _present(one) for name, one in found.items() if one is not None}
    return [_present(one) for one in found] if isinstance(found, list) else found


def settle(event: Event) -> Event | Refusal:
    """Check what the wire classes cannot say (ids, conditional fields, equal times); make integer ids text."""
    try:
        settled: Event = _settle(event, "")
        check = FAULTS.get(type(event))
        fault = None if check is None else check(settled)
        if fault is not None:
            _refuse(fault)
        if not -MAX_TIME_MS <= settled.occurred_at_ms <= MAX_TIME_MS:
            _refuse(f"occurred_at_ms {settled.occurred_at_ms} is further than the year 9999 from the epoch")
    except _SchemaError as error:
        return Refusal(Outcome.REJECTED_SCHEMA, str(error))
    return settled


def nested_too_deeply(value: bytes) -> bool:
    """Tell whether JSON has more than `MAX_NESTING` levels; of bytes that are no JSON, the answer may be either."""
    # An object in an object costs `{"":` and `}`, an array two bytes: most records are too short, and cost no more.
    if len(value) <= (ARRAY_BYTES if b"[" in value else OBJECT_BYTES) * MAX_NESTING:
        return False
    if value.count(b"{") + value.count(b"[") <= MAX_NESTING:
        return False
    brackets = np.frombuffer(_STRING.sub(b"", value).translate(None, _NO_BRACKETS), dtype=np.uint8)
    levels = np.where((brackets == ord("{")) | (brackets == ord("[")), 1, -1).cumsum()
    return bool(levels.max(initial=0) > MAX_NESTING)


def source_fault(source: Source) -> str | None:
    """Return what a source block lacks by its own values, or None (spec/events.md, "source block")."""
    if source.owner != "none" and source.account_id is None:
        return f"source.account_id is missing: owner is {source.owner}"
    if source.owner == "affiliate" and source.creator_id is None:
        return "source.creator_id is missing: owner is affiliate"
    if source.format in ("live", "video") and source.content_id is None:
        return f"source.content_id is missing: format is {source.format}"
    if source.is_paid and source.ad_id is None:
        return "source.ad_id is missing: is_paid is true"
    return None


def shown(text: str) -> str:
    """Return foreign text as it may stand in a message: quoted, escaped, cut."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return ascii(cut)


class _SchemaError(Exception):
    pass


def _refuse(detail: str) -> None:
    raise _SchemaError(detail)


def _settle(block: Any, place: str) -> Any:
    """Return the block with every id as text, checked; the same object when nothing had to change."""
    plan = _PLANS[type(block)]
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for name in plan.ids:
        old[name] = value = getattr(block, name)
        new[name] = value if value is None else _id_text(value, place + name)
    for name in plan.id_lists:
        old[name] = values = getattr(block, name)
        new[name] = [_id_text(value, f"{place}{name}[{index}]") for index, value in enumerate(values)]
    for name in plan.blocks:
        old[name] = nested = getattr(block, name)
        new[name] = nested if nested is None else _settle(nested, f"{place}{name}.")
    for name in plan.block_lists:
        old[name] = blocks = getattr(block, name)
        new[name] = [_settle(nested, f"{place}{name}[{index}].") for index, nested in enumerate(blocks)]
    if type(block) is Source:
        fault = source_fault(block)
        if fault is not None:
            _refuse(place.removesuffix("source.") + fault)
    return block if new == old else msgspec.structs.replace(block, **new)


def _id_text(value: str | int, place: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if not 1 <= len(text) <= MAX_ID_CHARACTERS:
        _refuse(f"{place} has {len(text)} characters, must have 1 to {MAX_ID_CHARACTERS}")
    if not text.isprintable() and _CONTROL.search(text):
        _refuse(f"{place} holds a control character: {shown(text)}")
    return text


def _plan_of(block_type: type[msgspec.Struct], plans: dict[type, _Plan]) -> None:
    """Read from the class itself where its ids and nested blocks are, so that no list of them can be forgotten."""
    if block_type in plans:
        return
    ids, id_lists, blocks, block_lists = [], [], [], []
    info = inspect.type_info(block_type)
    assert isinstance(info, inspect.StructType)  # noqa: S101 -- narrows for mypy; these are our own classes
    for field in info.fields:
        kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for kind in kinds:
            if isinstance(kind, inspect.StructType):
                blocks.append(field.name)
                _plan_of(kind.cls, plans)
            elif isinstance(kind, inspect.ListType):
                if isinstance(kind.item_type, inspect.StructType):
                    block_lists.append(field.name)
                    _plan_of(kind.item_type.cls, plans)
                elif _is_id(kind.item_type):
                    id_lists.append(field.name)
        if _is_id(field.type) or any(map(_is_id, kinds)):
            ids.append(field.name)
    plans[block_type] = _Plan(tuple(ids), tuple(id_lists), tuple(blocks), tuple(block_lists))


def _is_id(kind: inspect.Type) -> bool:
    """Tell an id by its type on the wire: it alone may be text or an integer."""
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if not isinstance(kind, inspect.UnionType):
        return False
    names = {type(part) for part in kind.types}
    return inspect.StrType in names and inspect.IntType in names


def _plans() -> dict[type, _Plan]:
    plans: dict[type, _Plan] = {}
    for event_type in EVENT_TYPES.values():
        _plan_of(event_type, plans)
    return plans


_PLANS: Final = _plans()
