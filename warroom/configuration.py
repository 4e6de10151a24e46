"""Settings from `warroom.toml` and the environment, checked before anything starts.

Order, later wins: defaults of `streams.settings`, the file, `WARROOM_<SECTION>_<KEY>` variables. The file is
`--config`, else `$WARROOM_CONFIG`, else `warroom.toml` in the working folder, which may be missing. Any other
`WARROOM_` variable is refused as an unknown key is: it was meant to change something and would change nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from streams.errors import SettingsError
from streams.settings import SECTIONS, Settings
from streams.settings_check import checked_settings
from streams.topics import replay_prefix

ENVIRONMENT_PREFIX: Final = "WARROOM_"
DEFAULT_FILE: Final = "warroom.toml"
CONFIG_VARIABLE: Final = "WARROOM_CONFIG"

BESIDE_SETTINGS: Final = frozenset(
    {
        CONFIG_VARIABLE,
        "WARROOM_GRAFANA_TOKEN_FILE",  # of dashboards.grafana.publish
        # Of the tests, whose processes hand them on to the commands that they start.
        "WARROOM_NO_SKIPS",
        "WARROOM_ORACLE_RAW",
        "WARROOM_TEST_SEED",
    }
)
"""Variables that are no settings and no mistakes."""


def load(config: Path | None = None, *, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the checked settings of this process.

    Raises:
        SettingsError: a file cannot be read, or a key or variable is unknown, of the wrong type or out of bounds; the
            message names file or variable, key, value and mend.
    """
    variables = os.environ if environment is None else environment
    path = config or Path(variables.get(CONFIG_VARIABLE, DEFAULT_FILE))
    document = _read(path, required=config is not None or CONFIG_VARIABLE in variables)
    settings = checked_settings(document, place=str(path), overrides=_overrides(variables))
    for key, file_name in (
        ("board.token_file", settings.board.token_file),
        ("kafka.sasl_password_file", settings.kafka.sasl_password_file),
        ("notify.slack_webhook_file", settings.notify.slack_webhook_file),
        ("notify.webhook_url_file", settings.notify.webhook_url_file),
        ("notify.pagerduty_key_file", settings.notify.pagerduty_key_file),
        *(
            (f"notify.slack_owner_files.{owner}", file)
            for owner, file in settings.notify.slack_owner_files.items()
        ),
    ):
        secret_from(file_name, key=key)
    return settings


def for_replay(settings: Settings, replay_id: str) -> Settings:
    """Return the settings of a replay's own world (X-81); an empty id leaves them as they are."""
    if not replay_id:
        return settings
    kafka = dataclasses.replace(settings.kafka, prefix=replay_prefix(replay_id))
    return dataclasses.replace(settings, replay_id=replay_id, kafka=kafka)


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


def _overrides(variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return "section.key" to (text, variable) of every setting in the environment."""
    overrides = {}
    known = {
        f"{ENVIRONMENT_PREFIX}{section}_{field.name}".upper(): f"{section}.{field.name}"
        for section, kind in SECTIONS.items()
        for field in dataclasses.fields(kind)
    }
    for variable, text in variables.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in BESIDE_SETTINGS:
            continue
        if variable.upper() not in known:
            # Without its value: a password under a wrong name is one all the same.
            what = f"{variable} (environment) is not a setting."
            near = difflib.get_close_matches(variable.upper(), [*known, *BESIDE_SETTINGS], n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            mend = "Settings are WARROOM_<SECTION>_<KEY>; docs/STATE.md lists them. Rename it or unset it."
            raise SettingsError(what, mend=mend + meant)
        overrides[known[variable.upper()]] = (text, variable)
    return overrides


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
