"""What a look at broker and Redis finds: `warroom doctor`'s share of this room. Nothing is changed that stays."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final

import redis.asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from agents import topics
from agents.clients import client_options
from streams.errors import TopicsError, WarRoomError
from streams.findings import Finding, bad, ok, warn

if TYPE_CHECKING:
    from streams.settings import Settings

ANSWER_WITHIN_S: Final = 10.0

SKEW_WARN_MS: Final = 500
SKEW_BAD_MS: Final = 30_000
"""A broker half a minute ahead or behind stamps records `late` or `rejected_future`: lateness is 2 minutes."""

_MEASURED: Final = 3


async def check_broker(settings: Settings) -> list[Finding]:
    """Return what is found of the broker: whether it answers, its topics, replays left over, its clock."""
    where = settings.kafka.bootstrap
    admin = None
    try:
        admin = AIOKafkaAdminClient(
            **client_options(settings.kafka), request_timeout_ms=int(ANSWER_WITHIN_S * 1000)
        )
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await admin.start()
            cluster = await admin.describe_cluster()
            names = await admin.list_topics()
    except (KafkaError, OSError, TimeoutError) as error:
        said = f"{where} does not answer: {type(error).__name__}"
        return [bad("broker", said, "Start the broker, or mend kafka.bootstrap and how to log on.")]
    except WarRoomError as error:
        return [bad("broker", error.what, error.mend)]
    else:
        brokers = len(cluster.get("brokers", ()))
        findings = [ok("broker", f"{where} answers, {brokers} broker{'' if brokers == 1 else 's'}")]
        if settings.kafka.replication > brokers:
            said = f"kafka.replication is {settings.kafka.replication}, there are {brokers} brokers"
            findings.append(bad("replication", said, "Lower it, or add brokers: no topic can be created."))
        findings.append(await _topics(settings))
        findings.append(_leftovers(names))
        findings.append(await _clock(settings, admin))
        return findings
    finally:
        if admin is not None:
            await asyncio.gather(admin.close(), return_exceptions=True)


async def _topics(settings: Settings) -> Finding:
    try:
        await topics.check(settings)
    except TopicsError as error:
        return bad("topics", error.what, error.mend)
    except WarRoomError as error:
        return bad("topics", error.what, error.mend or "Check the broker.")
    return ok(
        "topics", f"all {len(topics.plan(settings))} topics of {settings.kafka.prefix} are as they must be"
    )


def _leftovers(names: list[str]) -> Finding:
    """Find topics of replays: each is a world of its own that its player deletes when it ends well."""
    found = sorted(
        {name.split(".")[1] for name in names if name.startswith("replay.") and name.count(".") > 1}
    )
    if not found:
        return ok("replays", "no topics of replays are left over")
    said = f"topics of {len(found)} replays are on the broker: {', '.join(found[:10])}"
    return warn("replays", said, "When they do not run any more: `warroom doctor --delete-replay ID`.")


async def _clock(settings: Settings, admin: AIOKafkaAdminClient) -> Finding:
    """Hold the broker's clock against ours, on a topic that is made for it and deleted again."""
    name = f"warroom.doctor.{secrets.token_hex(4)}"
    unknown = "the broker's clock could not be read"
    mend = "Compare the clocks by hand, or let this user create topics."
    producer = AIOKafkaProducer(**client_options(settings.kafka), acks="all")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            config = {"message.timestamp.type": "LogAppendTime"}
            await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
            await producer.start()
            skew_ms, round_ms = min(
                [await _skew(producer, name) for _ in range(_MEASURED)], key=lambda one: one[1]
            )
    except (KafkaError, OSError, TimeoutError) as error:
        return warn("clock", f"{unknown}: {type(error).__name__}", mend)
    finally:
        await asyncio.gather(producer.stop(), admin.delete_topics([name]), return_exceptions=True)
    if skew_ms is None:
        return warn("clock", f"{unknown}: it does not stamp records", mend)
    ahead = "ahead of" if skew_ms > 0 else "behind"
    said = f"the broker's clock is {abs(skew_ms)} ms {ahead} ours, give or take {round_ms // 2}"
    beyond_ms = abs(skew_ms) - round_ms // 2
    if beyond_ms > SKEW_BAD_MS:
        return bad("clock", said, "Set the clocks by NTP: records would be late, or of the future.")
    if beyond_ms > SKEW_WARN_MS:
        return warn("clock", said, "Set the clocks by NTP.")
    return ok("clock", said)


async def _skew(producer: AIOKafkaProducer, name: str) -> tuple[int | None, int]:
    """Return how far the broker's stamp is ahead of the middle of one send, and how long the send took; in ms."""
    began_ms = time.time_ns() // 1_000_000
    sent = await producer.send_and_wait(name, b"doctor")
    ended_ms = time.time_ns() // 1_000_000
    # Timestamp type 1 is the broker's; 0 would be our own clock, which agrees with itself.
    if sent.timestamp is None or sent.timestamp_type != 1:
        return None, ended_ms - began_ms
    return sent.timestamp - (began_ms + ended_ms) // 2, ended_ms - began_ms


async def check_redis(settings: Settings) -> list[Finding]:
    """Return what is found of Redis; nothing where none is configured."""
    if not settings.board.redis_url:
        return [ok("redis", "none is configured: this is the only board")]
    client = redis.asyncio.Redis.from_url(
        settings.board.redis_url, socket_timeout=ANSWER_WITHIN_S, socket_connect_timeout=ANSWER_WITHIN_S
    )
    mend = "Start it, or mend board.redis_url: without it no board evaluates or tells."
    try:
        info = await client.info("server")
    except (RedisError, OSError) as error:
        # The text of the error may hold the URL with its password.
        return [bad("redis", f"it does not answer: {type(error).__name__}", mend)]
    finally:
        await client.aclose()
    return [ok("redis", f"version {info.get('redis_version', 'unknown')} answers")]
