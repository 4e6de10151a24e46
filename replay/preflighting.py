"""The preflight of a recorded day, as known at one of its instants: to rehearse it, and to see it say NO-GO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.clock import local_instant_ms
from replay.direct import load_columns
from replay.recording import Recording
from streams.errors import SettingsError
from streams.findings import Finding, warn
from streams.preflight import CampaignStart, check_shop, next_campaign, start_of

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings


def findings_of(
    path: Path, settings: Settings, *, at: str | None
) -> tuple[list[Finding], list[CampaignStart]]:
    """Return findings and campaigns of a recording's shops.

    Args:
        path: of the recording.
        settings: win over the recording's manifest where both name the shop.
        at: shop time such as `2011-11-25T08:00`, or ms since the epoch; None: the recording's end.

    Raises:
        RecordingError: the recording cannot be read.
        SettingsError: `at` is no time.
    """
    recording = Recording.open(path, settings.shops)
    settings = settings.with_shops(recording.shops)
    shops = [settings.shops[shop_id] for shop_id in recording.shops]
    try:
        until_ms = recording.span_ms()[1] if at is None else local_instant_ms(at, shops[0].timezone)
    except ValueError as error:
        what = f"--at: {error}."
        raise SettingsError(
            what, mend="Write 2011-11-25T08:00 in shop time, or ms since the epoch."
        ) from error
    columns = load_columns(recording, settings, until_ms=until_ms)
    findings = [finding for shop in shops for finding in check_shop(columns, shop, now_ms=until_ms)]
    said = "a recording has no board: lag, evaluation, disk and routes are not looked at"
    findings.append(warn("board", said, "Ask a running one: --url."))
    campaigns = [(shop, next_campaign(columns, shop, now_ms=until_ms)) for shop in shops]
    return findings, [start_of(columns, shop, one) for shop, one in campaigns if one is not None]
