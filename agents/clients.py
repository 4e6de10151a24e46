"""How every Kafka client of this room logs on: one place for addresses, timeouts and secrets."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.settings import KafkaSettings


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return what aiokafka's producer, consumer and admin client take in common.

    Raises:
        SettingsError: the file with the password or the authority's certificate cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.bootstrap.split(",")],
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol in {"SSL", "SASL_SSL"}:
        try:
            options["ssl_context"] = ssl.create_default_context(cafile=kafka.ca_file or None)
        except OSError as error:
            what = f"kafka.ca_file {kafka.ca_file!r} cannot be read: {error.strerror or error}."
            raise SettingsError(what, mend="Name a PEM file that this user can read.") from error
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism or "PLAIN"
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = _secret(kafka.sasl_password_file)
    return options


def group_id(kafka: KafkaSettings) -> str:
    """Return the consumer group; a replay's own world has its own (X-81)."""
    return f"{kafka.app}.{kafka.prefix}worker"


def transactional_id(kafka: KafkaSettings, partition: int) -> str:
    """Return the id whose newest producer fences all older ones of a partition."""
    return f"{kafka.app}.{kafka.prefix}{partition}"


def _secret(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        what = f"kafka.sasl_password_file {path!r} cannot be read: {error.strerror or error}."
        raise SettingsError(
            what, mend="Name a file that holds the password and that this user can read."
        ) from error
