"""The desk: who has taken which alert on, and what is muted until when, shared by all boards of a shop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dashboards.store import Store, StoreError
from streams.alerts import AlertState
from streams.incidents import Ack, Mute

if TYPE_CHECKING:
    from streams.alerts import Alert
    from streams.board import Board

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""An acknowledgement given at one board is known to the others, and to the escalation, after this."""

KEEP_MS: Final = 14 * 24 * 60 * 60_000
"""Acknowledgements are kept as long as the outbox keeps what it told."""

_ACK: Final = "ack/"
_MUTE: Final = "mute/"


class Desk:
    """Acknowledgements and mutes.

    Args:
        store: any board may write it; no fence.

    Attributes:
        acks: by alert id, as of the last look at the store.
        mutes: by mute id, likewise, ended ones included until they are removed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version: int | None = None
        self.acks: Mapping[str, Ack] = {}
        self.mutes: Mapping[str, Mute] = {}

    def muted(self, alert: Alert, now_ms: int) -> Mute | None:
        """Return the mute that covers an alert at `now_ms`, on the board's clock; None when it is to be told."""
        return next((mute for mute in self.mutes.values() if mute.covers(alert, now_ms)), None)

    async def refresh(self) -> None:
        """Look what other boards have written.

        Raises:
            StoreError: the store cannot be read; what was known stays.
        """
        version = await self._store.version()
        if version == self._version:
            return
        entries = await self._store.read()
        self.acks = {
            key.removeprefix(_ACK): msgspec.json.decode(value, type=Ack)
            for key, value in entries.items()
            if key.startswith(_ACK)
        }
        self.mutes = {
            key.removeprefix(_MUTE): msgspec.json.decode(value, type=Mute)
            for key, value in entries.items()
            if key.startswith(_MUTE)
        }
        self._version = version

    async def acknowledge(self, alert_ids: Iterable[str], ack: Ack) -> None:
        """Note that somebody has taken alerts on; the first one who did stays.

        Raises:
            StoreError: it could not be noted.
        """
        await self.refresh()
        fresh = {f"{_ACK}{each}": msgspec.json.encode(ack) for each in alert_ids if each not in self.acks}
        old = [key for key, known in self.acks.items() if known.at_ms < ack.at_ms - KEEP_MS]
        if fresh:
            await self._store.write({**fresh, **dict.fromkeys((f"{_ACK}{each}" for each in old), None)})
            await self.refresh()

    async def mute(self, mute: Mute) -> None:
        """Add a mute, and remove those that ended.

        Raises:
            StoreError: it could not be noted.
        """
        await self.refresh()
        ended = [key for key, known in self.mutes.items() if known.until_ms <= mute.created_ms]
        entries = {f"{_MUTE}{mute.mute_id}": msgspec.json.encode(mute)}
        await self._store.write({**dict.fromkeys((f"{_MUTE}{each}" for each in ended), None), **entries})
        await self.refresh()

    async def unmute(self, mute_id: str) -> bool:
        """Remove a mute; return whether it was there.

        Raises:
            StoreError: it could not be noted.
        """
        await self.refresh()
        if mute_id not in self.mutes:
            return False
        await self._store.write({f"{_MUTE}{mute_id}": None})
        await self.refresh()
        return True

    async def run(self) -> None:
        """Look until cancelled; a store that does not answer is looked at again."""
        while True:
            try:
                await self.refresh()
            except StoreError as error:
                logger.warning("Acknowledgements and mutes cannot be read: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def close(self) -> None:
        """Let go of the store."""
        await self._store.close()


ACK_NOTE: Final = (
    "Noted on the board only: Alertmanager tells Slack and PagerDuty. Acknowledge the page in PagerDuty, too, or it"
    " goes on to the next person."
)
MUTE_NOTE: Final = (
    "What Alertmanager has been told of already goes on there until it closes: silence it there, too."
)


def told_elsewhere(board: Board) -> bool:
    """Return whether Alertmanager tells Slack and PagerDuty, so that an acknowledgement given here stays here."""
    return bool(board.settings.notify.alertmanager_url) and not board.replay_id


def standing(desk: Desk | None, alert: Alert, now_ms: int, *, elsewhere: bool) -> dict[str, Any]:
    """Return who has an alert, whether it is muted, and whether somebody may still take it on, for the page.

    Args:
        desk: None where nobody delivers.
        alert: which one.
        now_ms: on the board's clock.
        elsewhere: `told_elsewhere`; then `ack_note` says what an acknowledgement does not do.
    """
    if desk is None:
        return {"ack": None, "muted": False, "may_ack": False, "ack_note": ""}
    ack = desk.acks.get(alert.alert_id)
    return {
        "ack": None if ack is None else {"by": ack.by, "at_ms": ack.at_ms},
        "muted": desk.muted(alert, now_ms) is not None,
        "may_ack": ack is None and alert.state is AlertState.OPEN,
        "ack_note": ACK_NOTE if elsewhere else "",
    }
