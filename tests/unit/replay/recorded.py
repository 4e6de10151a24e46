"""A small recording for tests of what reads one: two topics, two repeats, a bad record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from replay.manifest import Manifest
from replay.recording import Recording
from replay.writing import RecordingWriter
from streams.settings import ShopSettings

SHOP_ID: Final = "s1"
BEGIN_MS: Final = 1_764_072_000_000
"""2025-11-25T12:00Z."""

STEP_MS: Final = 1_000
LINES: Final = 60
"""Clicks, two of them sent twice; a heartbeat every ten; one record that is no JSON."""


def click(number: int, at_ms: int) -> dict[str, object]:
    """Return a click of a product."""
    return {
        "event_id": f"e{number}",
        "event_type": "product_click",
        "shop_id": SHOP_ID,
        "occurred_at_ms": at_ms,
        "product_id": f"p{number % 3}",
        "user_key": f"u{number % 7}",
    }


def heard(number: int, at_ms: int) -> dict[str, object]:
    """Return a heartbeat of the feed of clicks: each supersedes the one before."""
    return {
        "event_type": "heartbeat",
        "shop_id": SHOP_ID,
        "occurred_at_ms": at_ms,
        "source": "tracker",
        "sent_until_ms": at_ms,
        "topics": ["cm.clicks"],
        "event_id": f"h{number}",
    }


def written(folder: Path) -> Recording:
    """Write the recording: one record a second, keys that spread over partitions."""
    manifest = Manifest("small", {SHOP_ID: ShopSettings(SHOP_ID, "Europe/London", "GBP")})
    with RecordingWriter(folder, manifest) as writer:
        for number in range(LINES):
            at_ms = BEGIN_MS + number * STEP_MS
            key = f"k{number % 5}"
            if number % 10 == 9:
                value = json.dumps(heard(number, at_ms)).encode()
                writer.write("cm.heartbeats", "tracker", at_ms, value)
            elif number == 25:
                writer.write("cm.clicks", key, at_ms, b"{torn")
            else:
                # The record of ten seconds ago once more, with its own key.
                again = number in (22, 43)
                value = json.dumps(
                    click(number - 10 if again else number, at_ms - again * 10 * STEP_MS)
                ).encode()
                writer.write("cm.clicks", key, at_ms, value)
    return Recording.open(folder)
