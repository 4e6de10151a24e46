"""Generate docs/asyncapi.yaml: every topic that others write to or read from, as an AsyncAPI 3.0 document.

Topics come from `streams.topics`, their settings on the broker from `agents.topics`, payloads from the types that the
code reads and writes. The two state topics are left out: their bytes are a worker's own and change with the version.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta

from agents.topics import plan
from streams.alerts import Alert
from streams.events import EVENT_TYPES
from streams.goals import GoalProgress
from streams.outcomes import Outcome
from streams.settings import Settings
from streams.stock import SkuStock
from streams.topics import REPLAY_HEADER, TOPICS, Role, Topic, full_name
from tools.asyncapi_examples import examples
from tools.generate_docs import attributes_of

PAGE: Final = "docs/asyncapi.yaml"
BINDING_VERSION: Final = "0.5.0"

Json = dict[str, Any]


class DeadLetterRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A record that cannot count as it is, with its place and its reason.

    Attributes:
        topic: without prefix.
        key_base64: of the record's key; null when it had none.
        value_base64: of the first 256 KiB of its value; null when it had none.
        value_bytes: length of the whole value.
        value_sha256: of the whole value, hexadecimal.
        detail: what is wrong, for a person.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    outcome: Outcome
    detail: str
    key_base64: str | None
    value_base64: str | None
    value_bytes: int
    value_sha256: str


class ClockTick(msgspec.Struct, forbid_unknown_fields=True):
    """The recorded time that a player has reached: "now" of its replay."""

    now_ms: Annotated[int, Meta(ge=0, description="ms since the epoch, UTC")]


_OUTPUTS: Final[dict[str, tuple[str, type, str]]] = {
    "stock_projections": (
        "stock_projection",
        SkuStock,
        "Stock and projection of each SKU, written when a reader would call it changed.",
    ),
    "goal_progress": (
        "goal_progress",
        GoalProgress,
        "Progress, pace and projected end of each campaign, written when its value or goal changes.",
    ),
    "alerts": (
        "alert",
        Alert,
        "Every incident: opened under its id, written again when it closes. The newest record of an id stands.",
    ),
    "dead_letters": ("dead_letter", DeadLetterRecord, "Records that cannot count, with the reason."),
    "clock": ("clock", ClockTick, "Of a replay alone: every 30 s of recorded time, and at its end."),
}

_SOURCES: Final = {
    "impressions": "Products shown.",
    "clicks": "Products clicked.",
    "page_views": "Product pages loaded.",
    "add_to_cart": "Presses of add-to-cart.",
    "orders": "Paid orders, their states, refunds.",
    "stock": "Sellable levels of SKUs.",
    "heartbeats": "Producers say that they are alive, and up to when they have sent everything.",
    "campaigns": "Campaigns with their goals; the highest version of a campaign stands.",
    "products": "Product cards; the highest version of a product stands.",
    "shops": "Profiles of shops; the highest version of a shop stands.",
    "checkouts": "Checkouts begun, paid or not.",
    "content": "Videos and LIVEs: published, started, ended, removed.",
    "engagement": "Views, likes and the like of content, by bucket of time.",
    "violations": "Violations of the platform's rules: opened, appealed, resolved.",
    "followers": "Followers of accounts, absolute.",
    "accounts": "Accounts of creators and of the shop; the highest version of an account stands.",
    "ads": "Cost and return of ads, by bucket of time; the highest revision of a bucket stands.",
    "ad_accounts": "The shop's choice of its primary ad account; the highest version stands.",
    "traffic_totals": "Ready-made counts of sources that send no single events.",
    "history": "Figures of past days, loaded before the live stream.",
    "benchmarks": "Means of top sellers, to compare with; the newest of a kind stands.",
}

_KEYS: Final = {
    "user_key": "the person's key, or the product id where nobody is known",
    "topic/partition/offset": "where the record stood: `orders/3/1234`",
    "alert id": "the incident's id; `/` separates its parts",
}


class _Dumper(yaml.SafeDumper):
    """Writes paragraphs as paragraphs, and what is there twice twice: a reference of YAML would only confuse."""

    def ignore_aliases(self, _data: object) -> bool:
        """Return that nothing is written as a reference of YAML."""
        return True


def _paragraphs(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _paragraphs)


def documents(_root: Path) -> dict[str, str]:
    """Return the document by its path from the top of the checkout."""
    head = "# Generated by `make generate` (tools/generate_asyncapi.py): do not edit.\n"
    text = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return {PAGE: head + text}


def document() -> Json:
    """Return the AsyncAPI document."""
    topics = [topic for topic in TOPICS.values() if topic.role is not Role.STATE]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Campaign war room: topics",
            "version": "1.0.0",
            "description": _INTRO,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "Your Kafka; `kafka.bootstrap` of the settings.",
            }
        },
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": dict(_operation(topic) for topic in topics),
        "components": {
            "messages": {name: message for topic in topics for name, message in _messages(topic).items()},
            "schemas": _schemas(),
        },
    }


_INTRO: Final = """\
What goes into the war room and what comes out of it, on Apache Kafka. A value is one JSON object in UTF-8. Unknown
fields are ignored; times are integers of milliseconds since the epoch, money is integers of minor units.

Names: live topics carry the prefix `cm.`. A replay is a world of its own: its topics carry `replay.<id>.`, its records
the header `replay_id` with that id, their Kafka timestamps are the recorded ones, and nothing of it reaches a live
pager.

Source topics are kept for the days that can be counted again (`fold.hot_days` and one); the war room never relies on
what Kafka has deleted. Compacted topics keep the newest record of each key: reading one from its beginning gives what
stands now. All source topics have the same number of partitions, the key decides which; no figure depends on the key.
"""


def _channel(topic: Topic) -> Json:
    clock = topic.role is Role.CLOCK
    source = topic.role is Role.SOURCE
    said = _SOURCES[topic.name] if source else _OUTPUTS[topic.name][2]
    examples_of_prefix = ["replay.friday."] if clock else ["cm.", "replay.friday."]
    parameter = {
        "description": "`cm.` live, `replay.<id>.` of a replay.",
        "default": examples_of_prefix[0],
        "examples": examples_of_prefix,
    }
    return {
        "address": f"{{prefix}}{topic.name}",
        "title": topic.name,
        "description": said,
        "servers": [{"$ref": "#/servers/kafka"}],
        "parameters": {"prefix": parameter},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "tags": [{"name": topic.role.value}],
        "bindings": {"kafka": _binding(topic)},
    }


def _binding(topic: Topic) -> Json:
    settings = Settings(replay_id="friday" if topic.role is Role.CLOCK else "")
    name = full_name(settings.kafka.prefix, topic.name)
    (planned,) = [each for each in plan(settings) if each.name == name]
    config = planned.config
    kept: Json = {"cleanup.policy": [config["cleanup.policy"]]}
    kept |= {key: int(config[key]) for key in ("retention.ms", "max.message.bytes") if key in config}
    return {
        "partitions": planned.partitions,
        "replicas": settings.kafka.replication,
        "topicConfiguration": kept,
        "bindingVersion": BINDING_VERSION,
    }


def _operation(topic: Topic) -> tuple[str, Json]:
    """Return what the war room does with a topic: it receives sources, and sends the rest."""
    receives = topic.role is Role.SOURCE
    operation: Json = {
        "action": "receive" if receives else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"The war room {'reads' if receives else 'writes'} {topic.name}.",
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in _messages(topic)],
    }
    if receives:
        group = {"type": "string", "description": "`kafka.app` of the settings, after it the prefix."}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
    return f"{operation['action']}_{topic.name}", operation


def _messages(topic: Topic) -> Json:
    shown = examples()
    if topic.role is Role.SOURCE:
        made: Json = {}
        for name in topic.event_types:
            payload = {
                "allOf": [
                    {"$ref": f"#/components/schemas/{EVENT_TYPES[name].__name__}"},
                    {"properties": {"event_type": {"const": name}}},
                ]
            }
            made[name] = _message(topic, name, EVENT_TYPES[name], payload, shown[name])
            made[name]["headers"] = _replay_header()
        return made
    name, kind, _ = _OUTPUTS[topic.name]
    return {name: _message(topic, name, kind, {"$ref": f"#/components/schemas/{kind.__name__}"}, shown[name])}


def _message(topic: Topic, name: str, kind: type, payload: Json, example: Any) -> Json:
    key = {"type": "string", "description": _KEYS.get(topic.key, f"`{topic.key}`")}
    return {
        "name": name,
        "title": name.replace("_", " "),
        "summary": inspect.cleandoc(kind.__doc__ or "").split("\n", 1)[0],
        "contentType": "application/json",
        "payload": payload,
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}},
        "examples": [{"name": f"a_{name}", "payload": example}],
    }


def _replay_header() -> Json:
    text = "Id of the replay that the record belongs to. A live record has none, and is refused with one."
    return {"type": "object", "properties": {REPLAY_HEADER: {"type": "string", "description": text}}}


def _schemas() -> Json:
    kinds = [*EVENT_TYPES.values(), *(kind for _, kind, _ in _OUTPUTS.values())]
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        if "description" in schema:
            schema["description"] = schema["description"].split("\n\n", 1)[0].replace("\n", " ")
    for _, kind, _ in _OUTPUTS.values():
        properties = components[kind.__name__]["properties"]
        for name, told in attributes_of(kind).items():
            if name in properties and "$ref" not in properties[name]:
                # JSON has no None.
                properties[name]["description"] = re.sub(r"\bNone\b", "null", told)
    return dict(sorted(components.items()))
