"""Put the generated dashboard into a running Grafana, and notes onto its time axis.

    WARROOM_GRAFANA_TOKEN_FILE=token python -m dashboards.grafana.publish https://grafana.example

File provisioning (docker-compose.yml) needs none of this; it is for a Grafana that others run. grafana-client stays
behind `GrafanaPublisher`, the only place that knows it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaServerError

from dashboards.grafana.generate import FOLDER_TITLE, FOLDER_UID, UID, dashboard
from streams.errors import SettingsError, UnavailableError, WarRoomError

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_FILE_VARIABLE: Final = "WARROOM_GRAFANA_TOKEN_FILE"  # noqa: S105 # the name of a variable, not a secret
TIMEOUT_S: Final = 10.0
NOTE_TAG: Final = "warroom"


class Grafana(Protocol):
    """What of grafana-client is used: its three element groups."""

    folder: Any
    dashboard: Any
    annotations: Any


class GrafanaPublisher:
    """Publish the dashboard and notes; each call may be repeated without harm, notes excepted."""

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana

    @classmethod
    def connect(cls, url: str, token: str) -> GrafanaPublisher:
        """Return a publisher for a Grafana's address and a service account's token."""
        return cls(GrafanaApi.from_url(url, credential=token, timeout=TIMEOUT_S))

    def publish(self) -> str:
        """Create the folder where it is missing, write the dashboard over its uid, return its path.

        Raises:
            UnavailableError: Grafana cannot be reached or refuses.
        """
        self._ensure_folder()
        answer = self._call(
            lambda: self._grafana.dashboard.update_dashboard(
                {
                    "dashboard": {**dashboard(), "id": None},
                    "folderUid": FOLDER_UID,
                    "overwrite": True,
                    "message": "generated from streams/catalogue.py",
                }
            )
        )
        return str(answer["url"])

    def note(self, text: str, *, at_ms: int, until_ms: int | None = None) -> None:
        """Mark an instant or a span: a campaign's phase, a price change, a restock.

        Raises:
            UnavailableError: Grafana cannot be reached or refuses.
        """
        self._call(
            lambda: self._grafana.annotations.add_annotation(
                dashboard_uid=UID, time_from=at_ms, time_to=until_ms, tags=[NOTE_TAG], text=text
            )
        )

    def _ensure_folder(self) -> None:
        def find() -> Any:
            try:
                return self._grafana.folder.get_folder(FOLDER_UID)
            except GrafanaClientError as error:
                if error.status_code != 404:
                    raise
                return self._grafana.folder.create_folder(FOLDER_TITLE, FOLDER_UID)

        self._call(find)

    def _call(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (GrafanaClientError, GrafanaServerError) as error:
            what = f"Grafana refused with status {error.status_code}: {error.message}."
            raise UnavailableError(what, mend="Check the token's role: it must edit dashboards.") from error
        except OSError as error:
            what = f"Grafana cannot be reached: {type(error).__name__}."
            raise UnavailableError(what, mend="Check the address and the network.") from error


def main(arguments: list[str] | None = None) -> int:
    """Publish, and print where the dashboard is; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.grafana.publish", description=__doc__)
    parser.add_argument("url", help="address of Grafana")
    url = parser.parse_args(arguments).url
    try:
        sys.stdout.write(GrafanaPublisher.connect(url, _token()).publish() + "\n")
    except WarRoomError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _token() -> str:
    path = os.environ.get(TOKEN_FILE_VARIABLE, "")
    if not path:
        what = f"{TOKEN_FILE_VARIABLE} is not set."
        raise SettingsError(what, mend="Name a file that holds a service account's token.")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        what = f"{TOKEN_FILE_VARIABLE} names {path!r}, which cannot be read."
        raise SettingsError(what, mend="Check the path and its permissions.") from error


if __name__ == "__main__":
    sys.exit(main())
