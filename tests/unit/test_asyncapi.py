"""docs/asyncapi.yaml: what it says of the topics is so, and it is an AsyncAPI 3.0 document."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from agents.topics import plan
from streams.alerts import decode_alert
from streams.events import EVENT_TYPES
from streams.goals import GoalProgress
from streams.settings import Settings
from streams.stock import SkuStock
from streams.topics import TOPICS, Role, decode_clock, full_name
from streams.wire import decode_dead_letter
from tools import generate_asyncapi

PAGE: Final = Path(__file__).resolve().parents[2] / generate_asyncapi.PAGE
DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(PAGE.read_text(encoding="utf-8"))
MESSAGES: Final[dict[str, Any]] = DOCUMENT["components"]["messages"]

FIELDS: Final[dict[str, tuple[set[str], set[str]]]] = {
    "document": (
        {"asyncapi", "info"},
        {"id", "servers", "defaultContentType", "channels", "operations", "components"},
    ),
    "info": (
        {"title", "version"},
        {"description", "termsOfService", "contact", "license", "tags", "externalDocs"},
    ),
    "server": (
        {"host", "protocol"},
        {"protocolVersion", "pathname", "description", "title", "summary", "variables", "security", "tags"}
        | {"externalDocs", "bindings"},
    ),
    "channel": (
        set(),
        {"address", "messages", "title", "summary", "description", "servers", "parameters", "tags"}
        | {"externalDocs", "bindings"},
    ),
    "parameter": (set(), {"enum", "default", "description", "examples", "location"}),
    "operation": (
        {"action", "channel"},
        {
            "title",
            "summary",
            "description",
            "security",
            "tags",
            "externalDocs",
            "bindings",
            "traits",
            "messages",
        }
        | {"reply"},
    ),
    "message": (
        set(),
        {
            "headers",
            "payload",
            "correlationId",
            "contentType",
            "name",
            "title",
            "summary",
            "description",
            "tags",
        }
        | {"externalDocs", "bindings", "examples", "traits"},
    ),
    "example": (set(), {"headers", "payload", "name", "summary"}),
    "channel binding": (set(), {"topic", "partitions", "replicas", "topicConfiguration", "bindingVersion"}),
    "topic configuration": (
        set(),
        {"cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"},
    ),
    "operation binding": (set(), {"groupId", "clientId", "bindingVersion"}),
    "message binding": (
        set(),
        {"key", "schemaIdLocation", "schemaIdPayloadEncoding", "schemaLookupStrategy", "bindingVersion"},
    ),
}
"""Fields that each object must and may have.

Source: AsyncAPI 3.0.0, https://www.asyncapi.com/docs/reference/specification/v3.0.0; Kafka bindings 0.5.0.
"""


def faults(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a document from being AsyncAPI 3.0, as far as ours goes."""
    if document.get("asyncapi") != "3.0.0":
        yield "asyncapi is not 3.0.0"
    yield from _fields("document", "document", document)
    yield from _fields("info", "info", document["info"])
    for name, server in document["servers"].items():
        yield from _fields("server", name, server)
    for name, channel in document["channels"].items():
        yield from _channel_faults(name, channel)
    for name, operation in document["operations"].items():
        yield from _operation_faults(name, operation)
    for name, message in document["components"]["messages"].items():
        yield from _fields("message", name, message)
        yield from _binding("message binding", name, message)
        for example in message["examples"]:
            yield from _fields("example", name, example)
    for reference in _references(document):
        try:
            _resolve(document, reference)
        except KeyError:
            yield f"{reference} leads nowhere"


def _channel_faults(name: str, channel: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields("channel", name, channel)
    for parameter in channel["parameters"].values():
        yield from _fields("parameter", name, parameter)
    yield from _binding("channel binding", name, channel)
    configuration = channel["bindings"]["kafka"]["topicConfiguration"]
    yield from _fields("topic configuration", name, configuration)
    if not set(configuration["cleanup.policy"]) <= {"compact", "delete"}:
        yield f"{name}: cleanup.policy"


def _operation_faults(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields("operation", name, operation)
    if operation["action"] not in {"send", "receive"}:
        yield f"{name}: action"
    own = operation["channel"]["$ref"]
    if not all(message["$ref"].startswith(f"{own}/messages/") for message in operation["messages"]):
        yield f"{name}: a message of another channel"
    if "bindings" in operation:
        yield from _binding("operation binding", name, operation)


def _fields(kind: str, name: str, found: Mapping[str, Any]) -> Iterator[str]:
    must, may = FIELDS[kind]
    for field in sorted((must - found.keys()) | (found.keys() - must - may)):
        yield f"{name}: {field} of {kind}"


def _binding(kind: str, name: str, holder: Mapping[str, Any]) -> Iterator[str]:
    kafka = holder["bindings"]["kafka"]
    if kafka.get("bindingVersion") != "0.5.0":
        yield f"{name}: bindingVersion"
    yield from _fields(kind, name, kafka)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _resolve(document: Mapping[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


# --- JSON Schema, as much of it as our types use --------------------------------------------------------------------

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}

_BOUNDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "enum": lambda value, choices: value in choices,
    "const": lambda value, only: value == only,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
}

_NOTES: Final = frozenset({"type", "title", "description", "default"})


def misfits(value: Any, schema: Mapping[str, Any], where: str = "$") -> Iterator[str]:
    """Yield where a value does not fit a schema of the document."""
    if "type" in schema and not _TYPES[schema["type"]](value):
        yield f"{where}: no {schema['type']}"
        return
    for word, rule in schema.items():
        if word in _BOUNDS:
            if not _BOUNDS[word](value, rule):
                yield f"{where}: {word} {rule}"
        elif word not in _NOTES:
            # A word that this check does not know is a KeyError, not a pass.
            yield from _WORDS[word](value, schema, where)


def _reference(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from misfits(value, _resolve(DOCUMENT, schema["$ref"]), where)


def _all_of(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    for part in schema["allOf"]:
        yield from misfits(value, part, where)


def _any_of(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if all(any(misfits(value, part, where)) for part in schema["anyOf"]):
        yield f"{where}: none of anyOf"


def _required(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from (f"{where}.{name}: missing" for name in schema["required"] if name not in value)


def _properties(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, part in schema["properties"].items():
        if name in value:
            yield from misfits(value[name], part, f"{where}.{name}")


def _others(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    rule = schema["additionalProperties"]
    for name in value.keys() - schema.get("properties", {}).keys():
        if rule is False:
            yield f"{where}.{name}: unknown"
        elif rule is not True:
            yield from misfits(value[name], rule, f"{where}.{name}")


def _items(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    for number, part in enumerate(value):
        yield from misfits(part, schema["items"], f"{where}[{number}]")


_WORDS: Final = {
    "$ref": _reference,
    "allOf": _all_of,
    "anyOf": _any_of,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _others,
    "items": _items,
}


# --- what it says is so ---------------------------------------------------------------------------------------------


def test_it_is_what_its_generator_makes() -> None:
    (text,) = generate_asyncapi.documents(PAGE.parents[1]).values()
    assert PAGE.read_text(encoding="utf-8") == text, "run: make generate"


def test_it_is_an_asyncapi_document() -> None:
    assert list(faults(DOCUMENT)) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("asyncapi",), "2.6.0", "asyncapi is not 3.0.0"),
        (("channels", "orders", "subscribe"), {}, "orders: subscribe of channel"),
        (("channels", "orders", "bindings", "kafka", "bindingVersion"), "0.4.0", "orders: bindingVersion"),
        (
            ("channels", "alerts", "messages", "alert", "$ref"),
            "#/components/messages/alarm",
            "#/components/messages/alarm leads nowhere",
        ),
        (
            ("channels", "alerts", "bindings", "kafka", "topicConfiguration", "cleanup.policy"),
            ["shrink"],
            "alerts: cleanup.policy",
        ),
        (("operations", "send_alerts", "action"), "publish", "send_alerts: action"),
    ],
)
def test_what_is_none_is_found_out(path: tuple[str, ...], value: Any, fault: str) -> None:
    broken = copy.deepcopy(DOCUMENT)
    place = broken
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert fault in list(faults(broken))


def test_every_topic_is_there_but_a_workers_own_state() -> None:
    theirs = {name for name, topic in TOPICS.items() if topic.role is Role.STATE}
    assert set(DOCUMENT["channels"]) == set(TOPICS) - theirs
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == f"{{prefix}}{name}"
        assert set(channel["messages"]) <= set(MESSAGES)
        if TOPICS[name].event_types:
            assert set(channel["messages"]) == set(TOPICS[name].event_types)


def test_its_topics_stand_on_the_broker_as_it_says() -> None:
    planned = {topic.name: topic for topic in [*plan(Settings()), *plan(Settings(replay_id="friday"))]}
    for name, channel in DOCUMENT["channels"].items():
        kafka, topic = channel["bindings"]["kafka"], planned[full_name(Settings().kafka.prefix, name)]
        assert kafka["partitions"] == topic.partitions
        configuration = kafka["topicConfiguration"]
        assert configuration["cleanup.policy"] == [topic.config["cleanup.policy"]]
        if TOPICS[name].role is not Role.SOURCE:
            assert configuration.get("retention.ms") == (
                int(topic.config["retention.ms"]) if "retention.ms" in topic.config else None
            )
    assert (
        DOCUMENT["channels"]["orders"]["bindings"]["kafka"]["topicConfiguration"]["retention.ms"]
        == 46 * 86_400_000
    )
    assert DOCUMENT["channels"]["alerts"]["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == [
        "compact"
    ]


def test_the_war_room_receives_sources_and_sends_the_rest() -> None:
    actions = {
        operation["channel"]["$ref"].rpartition("/")[2]: operation["action"]
        for operation in DOCUMENT["operations"].values()
    }
    assert actions == {
        name: "receive" if TOPICS[name].role is Role.SOURCE else "send" for name in DOCUMENT["channels"]
    }


READERS: Final[dict[str, Callable[[bytes], object]]] = {
    **{
        name: lambda value, kind=kind: msgspec.json.decode(value, type=kind)  # type: ignore[misc] # mypy: default of a lambda
        for name, kind in EVENT_TYPES.items()
    },
    "alert": decode_alert,
    "stock_projection": lambda value: msgspec.json.decode(value, type=SkuStock),
    "goal_progress": lambda value: msgspec.json.decode(value, type=GoalProgress),
    "dead_letter": decode_dead_letter,
    "clock": decode_clock,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_example_fits_its_schema_and_is_read_by_our_own_code(name: str) -> None:
    (example,) = MESSAGES[name]["examples"]
    assert list(misfits(example["payload"], MESSAGES[name]["payload"])) == []
    assert READERS[name](json.dumps(example["payload"], separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("order_paid", {"lines": []}),
        ("order_paid", {"paid_at_ms": -1}),
        ("order_paid", {"event_type": "refund"}),
        ("order_paid", {"currency": "DOLLAR"}),
        ("stock_changed", {"available": "38"}),
        ("stock_changed", {"reason": "stolen"}),
        ("alert", {"state": "maybe"}),
        ("alert", {"figures": {"left": ["no scalar"]}}),
        ("clock", {"now_ms": None}),
    ],
)
def test_what_is_wrong_does_not_fit(name: str, change: dict[str, Any]) -> None:
    (example,) = MESSAGES[name]["examples"]
    assert list(misfits({**example["payload"], **change}, MESSAGES[name]["payload"]))
