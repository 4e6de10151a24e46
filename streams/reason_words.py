"""Short words for what is missing: the one place that the wall, the page of views and the terminal have them from.

`streams.metric.NULL_REASONS` says the same in a sentence, `streams.explain_words.MENDS` what mends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.metric import NULL_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHORT: Final = {
    "no_source": "no source feeds this",
    "zero_divisor": "nothing to divide by yet",
    "catching_up": "catching up",
    "source_gives_no_skus": "its records name no SKU",
    "source_gives_no_people": "its records name no people",
    "partly_kept": "kept for a part of the time only",
    "too_uncertain": "too uncertain to be shown",
    "below_minimum": "too few to be shown",
    "no_finished_day": "no finished day yet",
    "no_target": "no goal set in cm.campaigns",
    "nothing_due": "nothing of the goal is due yet",
    "nothing_sold": "nothing sold yet",
    "no_stock_record": "no stock record yet",
    "not_selling": "nothing sells, so it does not run out",
    "after_campaign": "the campaign is over",
    "not_in_stock_feed": "not in the stock table",
    "unknown_id": "no record names this id",
    "nothing_compared": "nothing to compare with",
    "no_counterpart": "no such time on the other side",
    "source_began_later": "the other side began within this time",
    "not_compared": "not compared",
    "not_a_number": "text is not compared",
    "grain_too_coarse": "not kept in that detail",
    "not_by_format": "not kept by format",
    "not_begun": "not begun yet",
    "no_detail_before": "older than what is kept in that detail",
    "no_benchmark": "no benchmark for these days",
    "not_final": "no final day yet",
    "no_primary_ad_account": "no primary ad account is chosen",
    "not_ranked": "nothing to rank it by",
    "not_told": "no record says it",
    "no_card": "no record says it",
    "not_a_live": "not a LIVE",
    "no_earlier_live": "no LIVE of the account before it",
    "loading": "reading state",
}
"""By reason of a null, a few words for a small place."""

NO_CAMPAIGN: Final = "no_campaign"
"""Why the wall has no goal: not a reason of the query layer, which says `no_target`."""


def in_short(reason: str | None, needs: Sequence[str] = ()) -> str:
    """Return a reason in a few words.

    Args:
        reason: of a null, or why a question was refused; None where nobody knows.
        needs: topics that would make it a value.
    """
    if reason is None:
        return "no answer"
    if needs and reason == "no_source":
        return f"needs {', '.join(needs)}"
    if reason == NO_CAMPAIGN:
        return "needs cm.campaigns"
    return SHORT.get(reason, reason.replace("_", " "))


def in_words(nulls: Iterable[Mapping[str, Mapping[str, Sequence[int]]]]) -> dict[str, str]:
    """Return the sentence of every reason that answers name, given their `nulls`."""
    reasons = dict.fromkeys(reason for one in nulls for found in one.values() for reason in found)
    return {reason: NULL_REASONS.get(reason, reason) for reason in reasons}
