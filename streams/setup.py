"""What `warroom init` writes: a settings file, and the reference records of shop, campaign and products.

Pure: from answers to texts. The settings text is checked by the real loader and the records by the real decoder, so
that what is written cannot be refused later.

Source: spec/events.md "campaign", "product", "shop".
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from streams.days import BusinessCalendar, parse_day
from streams.decoding import Refusal, decode
from streams.errors import SettingsError
from streams.events import Campaign, Event, Product, Shop
from streams.money import to_minor
from streams.settings import ShopSettings
from streams.settings_check import check_shop
from streams.topics import RECORDING_PREFIX, TOPIC_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from streams.settings import Settings

ROUTE_KEYS: Final = {
    "slack": "slack_webhook_file",
    "pagerduty": "pagerduty_key_file",
    "webhook": "webhook_url_file",
}
"""Where pages can go -> the setting of `notify` that names the file with its secret."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ProductCard:
    """One product of the list: `sku_ids` are its own id where the list names none."""

    product_id: str
    name: str
    sku_ids: tuple[str, ...]
    price_minor: int
    unit_cost_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked.

    Attributes:
        starts, ends: shop time, `2026-11-27` or `2026-11-27T20:00`; a date as end means the end of that day.
        goal: in major units for `gmv`, else a count; None: no goal.
        routes: route -> file that holds its secret.
        products: the campaign's products.
    """

    shop_id: str
    name: str
    timezone: str
    currency: str
    kafka: str
    campaign_id: str
    campaign: str
    starts: str
    ends: str
    goal_metric: str
    goal: float | None
    required_topics: tuple[str, ...]
    routes: Mapping[str, str]
    products: tuple[ProductCard, ...] = ()


def answers_of(words: Mapping[str, str], routes: Mapping[str, str], products: str) -> Answers:
    """Return the answers that were typed.

    Args:
        words: by the names of the command's options; `products` is the list's file name, for messages.
        routes: route -> file with its secret.
        products: text of the product list; empty for none.

    Raises:
        SettingsError: the goal is no number, or the list does not hold.
    """
    try:
        goal = float(words["goal"].replace(",", "").replace("_", ""))
    except ValueError as error:
        what = f"The goal {words['goal']!r} is no number."
        raise SettingsError(what, mend="Write 50000, or 0 for none.") from error
    cards = parse_products(products, words["currency"], place=words["products"]) if products else ()
    return Answers(
        shop_id=words["shop"],
        name=words["name"] or words["shop"],
        timezone=words["timezone"],
        currency=words["currency"],
        kafka=words["kafka"],
        campaign_id=slug(words["campaign"]),
        campaign=words["campaign"],
        starts=words["starts"],
        ends=words["ends"],
        goal_metric=words["goal_metric"],
        goal=goal or None,
        required_topics=tuple(one.strip() for one in words["required_topics"].split(",") if one.strip()),
        routes=routes,
        products=cards,
    )


def given_routes(pairs: Iterable[str]) -> dict[str, str]:
    """Return route -> file of pairs such as `slack=/run/secrets/slack`.

    Raises:
        SettingsError: one is no such pair.
    """
    files = {}
    for pair in pairs:
        kind, _, file = pair.partition("=")
        if kind not in ROUTE_KEYS or not file:
            what = f"--route {pair!r} is not KIND=FILE."
            raise SettingsError(what, mend=f"Kinds: {', '.join(ROUTE_KEYS)}; the file holds the secret.")
        files[kind] = file
    return files


def slug(name: str) -> str:
    """Return an id made of a name: `Black Friday` is `black-friday`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "campaign"


def settings_text(answers: Answers) -> str:
    """Return the settings file of the answers.

    Raises:
        SettingsError: an answer holds a control character, which no settings file can hold in one line.
    """
    shop: dict[str, Any] = {
        "name": answers.name,
        "timezone": answers.timezone,
        "currency": answers.currency,
        "required_topics": list(answers.required_topics),
    }
    parts = [
        "# Settings of the war room, written by `warroom init`; every key is in docs/STATE.md.",
        "# Secrets are in files of their own; variables WARROOM_<SECTION>_<KEY> win over this file.",
        _table(f"shops.{_text(answers.shop_id)}", shop),
        _table("kafka", {"bootstrap": answers.kafka}),
    ]
    routes = {ROUTE_KEYS[route]: file for route, file in answers.routes.items()}
    if routes:
        parts.append(_table("notify", routes))
    return "\n".join([*parts, ""])


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_text(value)}" for key, value in values.items()]
    return "\n".join(["", f"[{name}]", *lines])


def _text(value: str | Sequence[str]) -> str:
    """Return a string or a list of strings as TOML, which takes JSON's as they are."""
    if any(_CONTROL.search(one) for one in ([value] if isinstance(value, str) else value)):
        what = f"{value!r} holds a control character."
        raise SettingsError(what, mend="Write it in one line of plain text.")
    return json.dumps(value, ensure_ascii=False)


def period_ms(answers: Answers) -> tuple[int, int]:
    """Return the campaign's start and end as instants.

    Raises:
        SettingsError: one is no time, or the end is not after the start.
    """
    start_ms = _instant(answers.starts, answers.timezone, end=False)
    end_ms = _instant(answers.ends, answers.timezone, end=True)
    if end_ms <= start_ms:
        what = f"The campaign ends ({answers.ends}) before it starts ({answers.starts})."
        raise SettingsError(what, mend="Give an end after the start, in shop time.")
    return start_ms, end_ms


def _instant(text: str, timezone: str, *, end: bool) -> int:
    try:
        if "T" not in text and " " not in text:
            return BusinessCalendar(timezone).day_start_ms(parse_day(text) + (1 if end else 0))
        at = dt.datetime.fromisoformat(text)
    except ValueError as error:
        what = f"{text!r} is no time."
        raise SettingsError(what, mend="Write 2026-11-27 or 2026-11-27T20:00, in shop time.") from error
    return int((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(timezone))).timestamp() * 1000)


def reference_lines(answers: Answers, *, now_ms: int) -> list[bytes]:
    """Return the reference records, one JSON line each as in a recording: shop, products, campaign.

    Args:
        answers: what was asked.
        now_ms: wall clock; also the records' version, so that records of a later `init` win.

    Raises:
        SettingsError: the campaign's times do not hold.
    """
    shop = ShopSettings(answers.shop_id, timezone=answers.timezone, currency=answers.currency)
    check_shop(shop, place="The answer:")
    start_ms, end_ms = period_ms(answers)
    common: dict[str, Any] = {"shop_id": answers.shop_id, "occurred_at_ms": now_ms, "version": now_ms}
    events: list[tuple[str, Event]] = [
        (
            answers.shop_id,
            Shop(
                event_id=f"init-shop-{now_ms}",
                event_type="shop",
                timezone=answers.timezone,
                currency=answers.currency,
                name=answers.name,
                **common,
            ),
        )
    ]
    events += [
        (
            card.product_id,
            Product(
                event_id=f"init-product-{card.product_id[:80]}-{now_ms}",
                event_type="product",
                product_id=card.product_id,
                name=card.name,
                category="",
                sku_ids=list(card.sku_ids),
                price_minor=card.price_minor,
                unit_cost_minor=card.unit_cost_minor,
                **common,
            ),
        )
        for card in answers.products
    ]
    campaign = Campaign(
        event_id=f"init-campaign-{now_ms}",
        event_type="campaign",
        campaign_id=answers.campaign_id,
        name=answers.campaign,
        starts_at_ms=start_ms,
        ends_at_ms=end_ms,
        joined_at_ms=now_ms,
        product_ids=[card.product_id for card in answers.products],
        target_metric=answers.goal_metric if answers.goal is not None else None,  # type: ignore[arg-type]  # one of METRICS
        target_value=answers.goal,
        target_changed_at_ms=now_ms if answers.goal is not None else None,
        **common,
    )
    events.append((answers.campaign_id, campaign))
    return [_line(key, event, now_ms) for key, event in events]


def _line(key: str, event: Event, now_ms: int) -> bytes:
    topic = RECORDING_PREFIX + TOPIC_OF_TYPE[event.event_type]
    return msgspec.json.encode({"topic": topic, "key": key, "timestamp_ms": now_ms, "value": event})


class ReferenceRecord(msgspec.Struct, frozen=True):
    """A line of a file of reference records."""

    topic: str
    key: str
    timestamp_ms: int
    value: msgspec.Raw


def parse_references(text: bytes, *, place: str) -> list[ReferenceRecord]:
    """Return the records of a file, checked for their form and that each goes on a topic of reference records.

    Args:
        text: JSON lines; blank ones are skipped.
        place: the file's name, for messages.

    Raises:
        SettingsError: a line is no record, or its topic is not one of shops, campaigns, products.
    """
    records = []
    allowed = {RECORDING_PREFIX + name for name in ("shops", "campaigns", "products")}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line, type=ReferenceRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            what = f"{place}:{number}: not a record: {error}."
            raise SettingsError(
                what, mend="A line is topic, key, timestamp_ms and value, as `warroom init` writes."
            ) from error
        if record.topic not in allowed:
            what = f"{place}:{number}: topic {record.topic!r} holds no reference records."
            raise SettingsError(
                what, mend=f"Known: {', '.join(sorted(allowed))}. Play events with `warroom replay`."
            )
        records.append(record)
    return records


def read_references(file: Path) -> list[ReferenceRecord]:
    """Return the records of a file; see `parse_references`.

    Raises:
        SettingsError: the file cannot be read, or a line of it is no record.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        what = f"{file} cannot be read: {error.strerror}."
        raise SettingsError(what, mend="Name a file that `warroom init` wrote.") from error
    return parse_references(text, place=str(file))


def check_references(records: Sequence[ReferenceRecord], settings: Settings) -> None:
    """Decode the records as a worker would.

    Raises:
        SettingsError: one would end among the dead letters.
    """
    for record in records:
        event = decode(bytes(record.value))
        fault = ""
        if isinstance(event, Refusal):
            fault = event.detail
        elif event.shop_id not in settings.shops:
            fault = f"there are no settings for the shop {event.shop_id!r}"
        if fault:
            what = f"{record.topic} of key {record.key!r} would not count: {fault}."
            raise SettingsError(what, mend="Mend the answer that it comes from.")


def parse_products(text: str, currency: str, *, place: str) -> tuple[ProductCard, ...]:
    """Return the products of a CSV list: product_id, name, price; optional sku_ids (split by blanks) and unit_cost.

    Prices are in major units of the currency.

    Raises:
        SettingsError: a column is missing or a price is none; the message names file and line.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = {"product_id", "name", "price"} - set(reader.fieldnames or ())
    if missing:
        what = f"{place}: the column {', '.join(sorted(missing))} is missing."
        raise SettingsError(
            what, mend="The first line names product_id, name, price and perhaps sku_ids, unit_cost."
        )
    cards = []
    for row in reader:
        where = f"{place}:{reader.line_num}"
        product_id = (row["product_id"] or "").strip()
        if not product_id:
            what = f"{where}: product_id is empty."
            raise SettingsError(what, mend="Every product has an id.")
        cards.append(
            ProductCard(
                product_id,
                (row["name"] or product_id).strip(),
                tuple((row.get("sku_ids") or product_id).split()),
                _price(row["price"], currency, f"{where}: price"),
                _price(row["unit_cost"], currency, f"{where}: unit_cost") if row.get("unit_cost") else None,
            )
        )
    _refuse_repeats(cards, place)
    return tuple(cards)


def _price(text: str | None, currency: str, where: str) -> int:
    try:
        price = float(text or "")
        if 0 <= price < 1e11:
            return to_minor(price, currency)
    except ValueError:
        pass
    what = f"{where} = {text!r} is no price."
    raise SettingsError(what, mend="Write 19.90, in the shop's currency.")


def _refuse_repeats(cards: Iterable[ProductCard], place: str) -> None:
    seen: set[str] = set()
    for card in cards:
        if card.product_id in seen:
            what = f"{place}: the product {card.product_id!r} stands there twice."
            raise SettingsError(what, mend="Give it one line, with all its SKUs in sku_ids.")
        seen.add(card.product_id)
