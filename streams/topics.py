"""Topics as data: what travels where, under which key, and how the broker keeps it.

Names here are without prefix. `full_name` puts the prefix before it: `cm.` on a live cluster, `replay.<id>.` for a
replay (X-81); in a recording names always carry `cm.`.

Every source topic and the two state topics have one partition count per app (`Settings.partitions`): partition p of
all of them belongs to one worker (design, decision 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RECORDING_PREFIX: Final = "cm."
REPLAY_HEADER: Final = "replay_id"
"""The record header that holds a replay's id; a live record has none (design, decision 12)."""

REPLAYS_PREFIX: Final = "replay."
"""Before the topics of every replay (X-81); none of a live cluster may begin so."""


class Role(StrEnum):
    """What a topic is for; decides who creates, reads and checks it."""

    SOURCE = "source"
    STATE = "state"
    OUTPUT = "output"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: without prefix.
        role: source topics are read by workers; state topics are theirs; output topics are for people and systems.
        event_types: the types that belong here; the type decides, not the topic.
        key: the field that a producer keys by; no metric depends on it.
        compacted: keeps the latest record of each key, else keeps `retention`.
        co_partitioned: has exactly `Settings.partitions` partitions; else one.
    """

    name: str
    role: Role
    event_types: tuple[str, ...] = ()
    key: str = ""
    compacted: bool = False
    co_partitioned: bool = True


SOURCE_TOPICS: Final = (
    Topic("impressions", Role.SOURCE, ("product_impression",), "user_key"),
    Topic("clicks", Role.SOURCE, ("product_click",), "user_key"),
    Topic("page_views", Role.SOURCE, ("product_page_view",), "user_key"),
    Topic("add_to_cart", Role.SOURCE, ("add_to_cart",), "user_key"),
    Topic("orders", Role.SOURCE, ("order_paid", "order_status", "refund"), "order_id"),
    Topic("stock", Role.SOURCE, ("stock_changed",), "sku_id"),
    Topic("heartbeats", Role.SOURCE, ("heartbeat",), "shop_id"),
    Topic("campaigns", Role.SOURCE, ("campaign",), "campaign_id"),
    Topic("products", Role.SOURCE, ("product",), "product_id"),
    Topic("shops", Role.SOURCE, ("shop",), "shop_id"),
    Topic("checkouts", Role.SOURCE, ("checkout_started",), "user_key"),
    Topic("content", Role.SOURCE, ("content",), "content_id"),
    Topic("engagement", Role.SOURCE, ("content_engagement",), "content_id"),
    Topic("violations", Role.SOURCE, ("violation",), "content_id"),
    Topic("followers", Role.SOURCE, ("follower",), "account_id"),
    Topic("accounts", Role.SOURCE, ("account",), "account_id"),
    Topic("ads", Role.SOURCE, ("ad_metric",), "ad_account_id"),
    Topic("ad_accounts", Role.SOURCE, ("ad_account_selected",), "shop_id"),
    Topic("traffic_totals", Role.SOURCE, ("traffic_total",), "product_id"),
    Topic("history", Role.SOURCE, ("history_total",), "shop_id"),
    Topic("benchmarks", Role.SOURCE, ("benchmark",), "category"),
)

STATE: Final = Topic("state", Role.STATE, compacted=True, key="msgpack row key")
FACTS: Final = Topic("facts", Role.STATE, compacted=True, key="msgpack [kind, shop_id, ids...]")
DEAD_LETTERS: Final = Topic("dead_letters", Role.OUTPUT, key="topic/partition/offset")
STOCK_PROJECTIONS: Final = Topic(
    "stock_projections", Role.OUTPUT, key="shop_id/sku_id", compacted=True, co_partitioned=False
)
GOAL_PROGRESS: Final = Topic(
    "goal_progress", Role.OUTPUT, key="shop_id/campaign_id", compacted=True, co_partitioned=False
)
ALERTS: Final = Topic("alerts", Role.OUTPUT, key="alert id", compacted=True, co_partitioned=False)
REBUILDS: Final = Topic("rebuilds", Role.STATE, key="cube", compacted=True, co_partitioned=False)
"""Cubes that a person has asked workers to rebuild anew, with when (`warroom rebuild`)."""
CLOCK: Final = Topic("clock", Role.CLOCK, key="replay id", co_partitioned=False)
"""Only a replay has it: the player's recorded time, the board's "now" (design, decision 12)."""

TOPICS: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        *SOURCE_TOPICS,
        STATE,
        FACTS,
        DEAD_LETTERS,
        STOCK_PROJECTIONS,
        GOAL_PROGRESS,
        ALERTS,
        REBUILDS,
        CLOCK,
    )
}

TOPIC_OF_TYPE: Final[dict[str, str]] = {
    event_type: topic.name for topic in SOURCE_TOPICS for event_type in topic.event_types
}


def full_name(prefix: str, name: str) -> str:
    """Return the broker's name of a topic, for example `cm.orders` or `replay.friday.orders`."""
    return prefix + name


def short_name(prefix: str, full: str) -> str | None:
    """Return the topic's name without `prefix`, or None when it does not carry it."""
    return full[len(prefix) :] if full.startswith(prefix) else None


def replay_of(prefix: str) -> str:
    """Return the id of the replay whose prefix this is; empty for a live one."""
    return prefix.removeprefix(REPLAYS_PREFIX).removesuffix(".") if prefix.startswith(REPLAYS_PREFIX) else ""


def replay_prefix(replay_id: str) -> str:
    """Return the prefix of a replay's own world (X-81)."""
    return f"{REPLAYS_PREFIX}{replay_id}."


def encode_clock(now_ms: int) -> bytes:
    """Return the value of a record of the clock topic: the player's recorded time."""
    return b'{"now_ms":%d}' % now_ms


def decode_clock(value: bytes) -> int:
    """Return the recorded time of a record of the clock topic, ms since the epoch."""
    return int(value.removeprefix(b'{"now_ms":').removesuffix(b"}"))
