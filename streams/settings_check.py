"""From a settings document to checked settings: messages name the place, the key, the value and the mend."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streams.days import EARLIEST_MS, BusinessCalendar
from streams.errors import QueryError, SettingsError
from streams.rule import Owner
from streams.rule_settings import RuleSettings
from streams.settings import (
    SECTIONS,
    GoalSettings,
    NotifySettings,
    OwnMetricSettings,
    Settings,
    ShopSettings,
)
from streams.topics import REPLAYS_PREFIX

BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "kafka.partitions": (1, 256),
    "kafka.replication": (1, 9),
    "kafka.session_timeout_ms": (6_000, 300_000),
    "kafka.transaction_timeout_ms": (1_000, 900_000),
    "kafka.fetch_bytes": (64 << 10, 64 << 20),
    "kafka.worker_processes": (0, 256),
    "kafka.rebuild_records_per_s": (0, 10_000_000),
    "board.port": (0, 65_535),
    "board.day_final_hour": (0, 23),
    "fold.hot_days": (1, 36_500),
    "stock.page_min_share": (0, 1),
    "stock.demand_top_share": (0, 1),
    "stock.demand_clear_share": (0, 1),
    "stock.demand_min_share": (0, 1),
    "notify.alertmanager_repost_ms": (100, 600_000),
    "stock.page_clear_lead": (1, 100),
    "stock.page_clear_share": (0, 1),
    "rules.goal_amber_pace": (0, 1),
    "rules.goal_red_pace": (0, 1),
    "rules.goal_clear_pace": (0, 2),
    "rules.goal_min_due": (0, 1),
    "rules.goal_chance": (0, 1),
    "rules.goal_even_peak": (1, 24),
    "rules.week_clear_margin": (0, 1),
    "rules.cancel_factor": (1, 100),
    "rules.cancel_clear_factor": (0, 100),
    "rules.cancel_days": (1, 366),
    "rules.cancel_chance": (0, 1),
    "rules.slow_share": (0, 1),
    "rules.slow_clear_share": (0, 1),
    "rules.stop_window_ms": (60_000, 3_600_000),
    "rules.stop_baseline_ms": (60_000, 86_400_000),
    "rules.stop_chance": (0, 1),
    "rules.stop_min_expected": (1, 1_000_000),
    "rules.stop_most_share": (0, 1),
    "rules.stop_clear_share": (0, 1),
    "rules.slip_share": (0, 1),
    "rules.slip_common_share": (0, 1),
    "rules.slip_min_orders": (1, 1_000_000),
    "rules.slip_window_ms": (60_000, 86_400_000),
    "rules.slip_min_history": (1, 1_000_000),
    "rules.band_every_ms": (1_000, 86_400_000),
    "rules.flat_streams": (2, 100),
    "rules.flat_margin": (0, 1),
    "rules.spike_factor": (1, 1_000),
    "rules.spike_days": (3, 366),
    "rules.spike_repeats": (1, 1_000_000),
    "rules.friction_top_share": (0, 1),
    "rules.friction_rate_share": (0, 1),
    "rules.month_min_days": (1, 28),
    "rules.benchmark_margin": (0, 1),
    "rules.push_min_shown": (1, 1_000_000_000),
    "rules.push_min_share": (0, 1),
    "rules.push_told_ms": (3_600_000, 604_800_000),
    "preflight.min_rate_share": (0, 1),
}
"""Bounds of single keys; every other number must be at least 0."""

MOST_GOAL: Final = 1e15
"""Largest goal, as in a campaign's record."""

Section = TypeVar("Section")

ORDERED: Final = (
    ("stock", "demand_top_share", "demand_clear_share"),
    ("rules", "lag_amber_ms", "lag_red_ms"),
    ("rules", "goal_red_pace", "goal_amber_pace"),
    ("rules", "goal_amber_pace", "goal_clear_pace"),
    ("rules", "cancel_clear_factor", "cancel_factor"),
    ("rules", "slow_share", "slow_clear_share"),
    ("rules", "stop_most_share", "stop_clear_share"),
)
"""Section, and two keys of it of which the first must not exceed the second: a rule that clears where it still fires
would open and close at every evaluation."""

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def checked_settings(
    document: Mapping[str, Any],
    *,
    place: str,
    overrides: Mapping[str, tuple[str, str]] | None = None,
    replay_id: str = "",
) -> Settings:
    """Return the settings that a document describes.

    Args:
        document: sections of `SECTIONS`, one table per shop under `shops` and under `goals`, one per own metric under
            `metrics`.
        place: of the document, for messages; its file name.
        overrides: "section.key" to (text, where it comes from), stronger than the document.
        replay_id: of the replay this process belongs to.

    Raises:
        SettingsError: a section or key is unknown, a value of the wrong type or out of bounds.
    """
    known = {*SECTIONS, "shops", "goals", "metrics"}
    for name in document:
        if name not in known:
            what = f"{place}: unknown section [{name}]."
            raise SettingsError(what, mend=f"Known: {', '.join(sorted(known))}.{_near(name, known)}")
    tables: dict[str, dict[str, Any]] = {name: dict(document.get(name, {})) for name in SECTIONS}
    sources: dict[str, str] = {}
    for name, (text, source) in (overrides or {}).items():
        section, _, key = name.partition(".")
        tables[section][key] = text
        sources[name] = source
    sections: dict[str, Any] = {
        name: _section(name, kind, tables[name], place, sources) for name, kind in SECTIONS.items()
    }
    shops = {
        shop_id: check_shop(_shop(shop_id, table, place), place=f"{place}: [shops.{shop_id}]")
        for shop_id, table in document.get("shops", {}).items()
    }
    goals = {shop_id: _goals(shop_id, table, place) for shop_id, table in document.get("goals", {}).items()}
    metrics = _own_metrics(document.get("metrics", {}), place)
    settings = Settings(shops=shops, goals=goals, metrics=metrics, replay_id=replay_id, **sections)
    _check_together(settings, place)
    return settings


_UNIT_MS: Final = {"_seconds": 1_000, "_minutes": 60_000, "_hours": 3_600_000}


def changed_settings(settings: Settings, changes: Iterable[str]) -> Settings:
    """Return settings with single numbers changed, each as `stock.page_lead_ms=14400000`.

    A key that ends in `_ms` may be named in seconds, minutes or hours: `stock.page_lead_hours=4`.

    Raises:
        SettingsError: a change is no `section.key=value`, or its key or value does not hold.
    """
    document = {name: dict(msgspec.to_builtins(getattr(settings, name))) for name in SECTIONS}
    for change in changes:
        name, equals, value = change.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and section in SECTIONS):
            msg = f"{change!r} is no change of a setting."
            raise SettingsError(msg, mend="Write stock.page_lead_hours=4.")
        for suffix, unit_ms in _UNIT_MS.items():
            spelt = key.removesuffix(suffix) + "_ms"
            number = _number(value)
            if key.endswith(suffix) and spelt in document[section] and number is not None:
                key, value = spelt, str(round(number * unit_ms))
        document[section][key] = value.strip()
    checked = checked_settings(document, place="--set", replay_id=settings.replay_id)
    kept = {name: getattr(checked, name) for name in SECTIONS}
    return dataclasses.replace(settings, **kept)


def check_shop(shop: ShopSettings, *, place: str) -> ShopSettings:
    """Return the shop, or say which of zone and currency is not one."""
    try:
        ZoneInfo(shop.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = f"{place} timezone = {shop.timezone!r} is not an IANA zone."
        raise SettingsError(
            msg,
            mend='Write one such as "Europe/London".',
        ) from error
    if not (len(shop.currency) == 3 and shop.currency.isascii() and shop.currency.isupper()):
        msg = f"{place} currency = {shop.currency!r} is not an ISO 4217 code."
        raise SettingsError(msg, mend='Write one such as "USD".')
    return shop


def _section(
    name: str, kind: type[Section], table: dict[str, Any], place: str, sources: Mapping[str, str]
) -> Section:
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # SECTIONS holds dataclasses
    for key, value in table.items():
        where = _where(name, key, place, sources)
        if key not in fields:
            msg = f"{where} is not a setting."
            raise SettingsError(msg, mend=f"Known: {', '.join(sorted(fields))}.{_near(key, fields)}")
        low, high = BOUNDS.get(f"{name}.{key}", (0, float("inf")))
        number = _number(value)
        if number is not None and not low <= number <= high:
            msg = f"{where} = {value} is out of bounds."
            raise SettingsError(msg, mend=f"It must be from {low:g} to {high:g}.")
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        key = str(error).rpartition("$.")[2].strip("`")
        msg = f"{_where(name, key, place, sources)} = {table.get(key)!r}: {error}."
        raise SettingsError(
            msg,
            mend="Write a value of that type.",
        ) from error


def _shop(shop_id: str, table: dict[str, Any], place: str) -> ShopSettings:
    fields = {field.name for field in dataclasses.fields(ShopSettings)} - {"shop_id"}
    for key in table:
        if key not in fields:
            msg = f"{place}: [shops.{shop_id}] {key} is not a setting."
            raise SettingsError(
                msg,
                mend=f"Known: {', '.join(sorted(fields))}.{_near(key, fields)}",
            )
    try:
        return msgspec.convert({**table, "shop_id": shop_id}, ShopSettings)
    except msgspec.ValidationError as error:
        msg = f"{place}: [shops.{shop_id}] {error}."
        raise SettingsError(msg, mend="Write a value of that type.") from error


def _goals(shop_id: str, table: object, place: str) -> GoalSettings:
    name = f"goals.{shop_id}"
    if not isinstance(table, dict):
        msg = f"{place}: {name} = {table!r} is not a setting."
        raise SettingsError(msg, mend="Write a table per shop: [goals.<shop id>].")
    goals = _section(name, GoalSettings, table, place, {})
    amounts = {"week": goals.week, "quarter": goals.quarter}
    amounts |= {f"campaigns.{campaign}": value for campaign, value in goals.campaigns.items()}
    for key, value in amounts.items():
        if not 0 <= value <= MOST_GOAL:
            msg = f"{place}: {name}.{key} = {value} is out of bounds."
            raise SettingsError(msg, mend=f"It must be from 0 to {MOST_GOAL:g}.")
    return goals


def _own_metrics(tables: object, place: str) -> dict[str, OwnMetricSettings]:
    """Check the seller's own metrics."""
    found = {}
    for name, table in tables.items() if isinstance(tables, dict) else (("", tables),):
        if not name or not isinstance(table, dict) or not isinstance(table.get("formula"), str):
            what = f"{place}: metrics.{name} = {table!r:.200} has no formula."
            raise SettingsError(what, mend='Write [metrics.<id>] and below it formula = "gmv / orders".')
        found[name] = _section(f"metrics.{name}", OwnMetricSettings, table, place, {})
    if found:
        # The catalogue brings the arithmetic with it, which a command that needs none should not wait for.
        from streams.own_metrics import check_own_metrics

        check_own_metrics(found, place=place)
    return found


def _check_together(settings: Settings, place: str) -> None:
    """Check what holds between keys."""
    kafka, board = settings.kafka, settings.board
    if not kafka.prefix.endswith("."):
        msg = f"{place}: kafka.prefix = {kafka.prefix!r} must end in a dot."
        raise SettingsError(msg, mend='Write "cm.".')
    if kafka.prefix.startswith(REPLAYS_PREFIX) and not settings.replay_id:
        msg = f"{place}: kafka.prefix = {kafka.prefix!r} belongs to replays."
        raise SettingsError(msg, mend='Write "cm.", or name the replay with --replay.')
    if kafka.flush_after_ms > kafka.flush_at_most_ms:
        msg = (
            f"{place}: kafka.flush_after_ms = {kafka.flush_after_ms} exceeds "
            f"kafka.flush_at_most_ms = {kafka.flush_at_most_ms}."
        )
        raise SettingsError(
            msg,
            mend="Lower the first or raise the second.",
        )
    edges = board.gmv_range_edges
    if not edges or edges[0] < 1 or any(low >= high for low, high in itertools.pairwise(edges)):
        msg = f"{place}: board.gmv_range_edges = {list(edges)} does not rise."
        raise SettingsError(msg, mend="Write amounts such as [30000, 100000].")
    tiers = board.price_tier_edges
    if len(tiers) != 2 or not 1 <= tiers[0] < tiers[1]:
        msg = f"{place}: board.price_tier_edges = {list(tiers)} are not two that rise."
        raise SettingsError(msg, mend="Write amounts such as [30, 100].")
    _check_rules(settings, place)
    for section, low, high in ORDERED:
        values = getattr(settings, section)
        if getattr(values, low) > getattr(values, high):
            msg = (
                f"{place}: {section}.{low} = {getattr(values, low)} exceeds "
                f"{section}.{high} = {getattr(values, high)}."
            )
            raise SettingsError(msg, mend="Lower the first or raise the second.")
    _check_views(settings, place)
    _check_notify(settings.notify, place)
    if board.host not in LOOPBACK and not board.token_file:
        msg = f"{place}: board.host = {board.host!r} is reachable from outside without a token."
        raise SettingsError(
            msg,
            mend="Set board.token_file to a file that holds a token, or bind 127.0.0.1.",
        )


def _check_views(settings: Settings, place: str) -> None:
    """Check that views and windows are known by name: one that is not would do nothing, in silence."""
    # Imported here: a process that sets neither pays for no query layer at its start.
    if settings.views.unbound:
        from streams.views import VIEWS

        for name in settings.views.unbound:
            if name not in VIEWS:
                what = f"{place}: views.unbound: {name!r} is no view."
                raise SettingsError(what, mend=f"Known: {', '.join(VIEWS)}.{_near(name, set(VIEWS))}")
    window = settings.rules.band_window
    if window != RuleSettings().band_window:
        from streams.windows import Clock, resolve

        try:
            resolve(window, Clock(BusinessCalendar("UTC"), EARLIEST_MS, EARLIEST_MS))
        except QueryError as error:
            what = f"{place}: rules.band_window: {error.what}"
            raise SettingsError(what, mend=error.mend) from error


def _check_notify(notify: NotifySettings, place: str) -> None:
    """Check that routes name owners and ways that exist."""
    owners = {owner.value for owner in Owner}
    for owner in notify.slack_owner_files:
        if owner not in owners:
            what = f"{place}: notify.slack_owner_files: {owner!r} owns no rule."
            raise SettingsError(what, mend=f"Known: {', '.join(sorted(owners))}.{_near(owner, owners)}")
    if notify.slack_owner_files and not notify.slack_webhook_file:
        what = f"{place}: notify.slack_owner_files is set without notify.slack_webhook_file."
        raise SettingsError(what, mend="Name the channel of those that have none of their own.")
    routes = {"pagerduty", "slack", *(f"slack-{owner}" for owner in owners)}
    for route in notify.escalation:
        if route not in routes:
            what = f"{place}: notify.escalation: {route!r} is not a route."
            raise SettingsError(what, mend=f"Known: {', '.join(sorted(routes))}.{_near(route, routes)}")


def _check_rules(settings: Settings, place: str) -> None:
    """Check that the rules that are named are there: a rule that a typing error leaves on would page all the same."""
    rules = settings.rules
    named = {"off": rules.off, "hold_ms": rules.hold_ms, "clear_ms": rules.clear_ms}
    if not any(named.values()):
        return
    # The rulebook brings all of the arithmetic with it, which a command that needs none should not wait for.
    from streams.rulebook import RULES

    known = {rule.number for rule in RULES}
    for key, numbers in named.items():
        for number in numbers:
            if number not in known:
                msg = f"{place}: rules.{key} names {number!r}, which is no rule."
                raise SettingsError(msg, mend=f"Known: {', '.join(sorted(known))}.{_near(number, known)}")
    for key, spans in (("hold_ms", rules.hold_ms), ("clear_ms", rules.clear_ms)):
        for number, span_ms in spans.items():
            if span_ms < 0:
                msg = f"{place}: rules.{key}.{number} = {span_ms} is out of bounds."
                raise SettingsError(msg, mend="It must be at least 0.")


def _where(section: str, key: str, place: str, sources: Mapping[str, str]) -> str:
    variable = sources.get(f"{section}.{key}")
    return f"{variable} (environment)" if variable else f"{place}: {section}.{key}"


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _near(word: str, known: set[str]) -> str:
    match = difflib.get_close_matches(word, sorted(known), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""
