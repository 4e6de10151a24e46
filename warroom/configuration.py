"""Settings from `warroom.toml` and the environment, checked before anything starts.

Order, later wins: defaults of `streams.settings`, the file, `WARROOM_<SECTION>_<KEY>` variables. The file is
`--config`, else `$WARROOM_CONFIG`, else `warroom.toml` in the working folder, which may be missing.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streams.errors import SettingsError
from streams.settings import SECTIONS, Settings, ShopSettings

ENVIRONMENT_PREFIX: Final = "WARROOM_"
DEFAULT_FILE: Final = "warroom.toml"

BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "kafka.partitions": (1, 256),
    "kafka.replication": (1, 9),
    "kafka.session_timeout_ms": (6_000, 300_000),
    "kafka.transaction_timeout_ms": (1_000, 900_000),
    "kafka.fetch_bytes": (64 << 10, 64 << 20),
    "board.port": (0, 65_535),
    "board.day_final_hour": (0, 23),
    "fold.hot_days": (1, 36_500),
    "stock.page_min_share": (0, 1),
}
"""Bounds of single keys; every other number must be at least 0."""

Section = TypeVar("Section")


def load(
    config: Path | None = None, *, environment: Mapping[str, str] | None = None, replay_id: str = ""
) -> Settings:
    """Return the checked settings of this process.

    Raises:
        SettingsError: a file cannot be read, or a key is unknown, of the wrong type or out of bounds; the message
            names file or variable, key, value and mend.
    """
    variables = os.environ if environment is None else environment
    path = config or Path(variables.get("WARROOM_CONFIG", DEFAULT_FILE))
    document = _read(path, required=config is not None or "WARROOM_CONFIG" in variables)
    known = {*SECTIONS, "shops"}
    for name in document:
        if name not in known:
            msg = f"{path}: unknown section [{name}]."
            raise SettingsError(
                msg,
                mend=f"Known: {', '.join(sorted(known))}.{_near(name, known)}",
            )
    overrides, sources = _from_environment(variables)
    sections: dict[str, Any] = {
        name: _section(name, kind, {**document.get(name, {}), **overrides.get(name, {})}, path, sources)
        for name, kind in SECTIONS.items()
    }
    shops = {
        shop_id: check_shop(_shop(shop_id, table, path), place=f"{path}: [shops.{shop_id}]")
        for shop_id, table in document.get("shops", {}).items()
    }
    settings = Settings(shops=shops, replay_id=replay_id, **sections)
    _check_together(settings, path)
    return settings


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


def secret_from(file_name: str, *, key: str) -> str:
    """Return the secret that a file holds, without its line end; an empty name gives an empty secret."""
    if not file_name:
        return ""
    try:
        return Path(file_name).read_text(encoding="utf-8").strip()
    except OSError as error:
        msg = f"{key} = {file_name!r} cannot be read: {error.strerror}."
        raise SettingsError(
            msg,
            mend="Name a readable file, or leave it empty.",
        ) from error


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.exists():
        if required:
            msg = f"{path} does not exist."
            raise SettingsError(msg, mend="Name an existing file with --config.")
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read: {error}."
        raise SettingsError(msg, mend="Mend the file or remove it.") from error


def _from_environment(variables: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return (section -> key -> text, "section.key" -> variable name)."""
    overrides: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    for variable, text in variables.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        section, _, key = variable[len(ENVIRONMENT_PREFIX) :].lower().partition("_")
        if section in SECTIONS:
            overrides.setdefault(section, {})[key] = text
            sources[f"{section}.{key}"] = variable
    return overrides, sources


def _section(
    name: str, kind: type[Section], table: dict[str, Any], path: Path, sources: Mapping[str, str]
) -> Section:
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # SECTIONS holds dataclasses
    for key, value in table.items():
        place = _place(name, key, path, sources)
        if key not in fields:
            msg = f"{place} is not a setting."
            raise SettingsError(msg, mend=f"Known: {', '.join(sorted(fields))}.{_near(key, fields)}")
        low, high = BOUNDS.get(f"{name}.{key}", (0, float("inf")))
        number = _number(value)
        if number is not None and not low <= number <= high:
            msg = f"{place} = {value} is out of bounds."
            raise SettingsError(msg, mend=f"It must be from {low:g} to {high:g}.")
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        key = str(error).rpartition("$.")[2].strip("`")
        msg = f"{_place(name, key, path, sources)} = {table.get(key)!r}: {error}."
        raise SettingsError(
            msg,
            mend="Write a value of that type.",
        ) from error


def _shop(shop_id: str, table: dict[str, Any], path: Path) -> ShopSettings:
    fields = {field.name for field in dataclasses.fields(ShopSettings)} - {"shop_id"}
    for key in table:
        if key not in fields:
            msg = f"{path}: [shops.{shop_id}] {key} is not a setting."
            raise SettingsError(
                msg,
                mend=f"Known: {', '.join(sorted(fields))}.{_near(key, fields)}",
            )
    try:
        return msgspec.convert({**table, "shop_id": shop_id}, ShopSettings)
    except msgspec.ValidationError as error:
        msg = f"{path}: [shops.{shop_id}] {error}."
        raise SettingsError(msg, mend="Write a value of that type.") from error


def _check_together(settings: Settings, path: Path) -> None:
    """Check what holds between keys."""
    kafka, board = settings.kafka, settings.board
    if not kafka.prefix.endswith("."):
        msg = f"{path}: kafka.prefix = {kafka.prefix!r} must end in a dot."
        raise SettingsError(msg, mend='Write "cm.".')
    if kafka.flush_after_ms > kafka.flush_at_most_ms:
        msg = (
            f"{path}: kafka.flush_after_ms = {kafka.flush_after_ms} exceeds "
            f"kafka.flush_at_most_ms = {kafka.flush_at_most_ms}."
        )
        raise SettingsError(
            msg,
            mend="Lower the first or raise the second.",
        )
    if board.host not in {"127.0.0.1", "::1", "localhost"} and not board.token_file:
        msg = f"{path}: board.host = {board.host!r} is reachable from outside without a token."
        raise SettingsError(
            msg,
            mend="Set board.token_file to a file that holds a token, or bind 127.0.0.1.",
        )
    secret_from(board.token_file, key="board.token_file")
    secret_from(kafka.sasl_password_file, key="kafka.sasl_password_file")
    secret_from(settings.notify.slack_webhook_file, key="notify.slack_webhook_file")
    secret_from(settings.notify.webhook_url_file, key="notify.webhook_url_file")


def _place(section: str, key: str, path: Path, sources: Mapping[str, str]) -> str:
    variable = sources.get(f"{section}.{key}")
    return f"{variable} (environment)" if variable else f"{path}: {section}.{key}"


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
