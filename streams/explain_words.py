"""Words of an explanation: why a value is missing and what mends it, the question that gives the cell again, text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from streams.answers import plain
from streams.explain_parts import instant
from streams.metric import NULL_REASONS, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MENDS: Final = {
    "no_source": "Connect a source for {topics}, or ask for a time after it began.",
    "zero_divisor": "Ask for a longer window or a larger group, so that there is something to divide by.",
    "catching_up": "Ask again in a moment; if it stays, look at the lag of {topics} in docs/RUNBOOK.md.",
    "source_gives_no_people": "Send user_key with the events of {topics}.",
    "source_gives_no_skus": "Send sku_id with the events of {topics}, or ask by product.",
    "partly_kept": "Ask for days after the upgrade, or rebuild the cube from its topics.",
    "too_uncertain": "Ask for more days or for a larger product: the estimate needs more people.",
    "below_minimum": "Wait for more people, or lower the minimum in the settings.",
    "no_finished_day": "Ask for a window with a finished day.",
    "no_target": "Set a goal: warroom goal set, or a campaign record with target_value.",
    "nothing_due": "Wait until a part of the goal is due, or give the campaign a plan.",
    "nothing_sold": "Wait for the first orders.",
    "no_stock_record": "Send a stock record of the SKU.",
    "not_selling": "Nothing has to be mended: it does not run out.",
    "after_campaign": "Ask as of a time within the campaign.",
    "not_in_stock_feed": "Send a stock record or a product card for it.",
    "unknown_id": "Look at the id again; asked by its dimension in place of the filter, the answer has all of them.",
    "nothing_compared": "Add compare= to the question.",
    "no_counterpart": "Compare with a day or month that has this part of it.",
    "source_began_later": "Compare with a time after the source began.",
    "not_compared": "Ask for it without compare.",
    "not_a_number": "Ask for it without compare.",
    "grain_too_coarse": "Ask for whole days.",
    "not_by_format": "Ask for it without a format.",
    "not_begun": "Ask again when that time has begun, or for an earlier one.",
    "no_detail_before": "Compare with a later day, or ask by day.",
    "no_benchmark": "Send benchmark records for these days and this metric.",
    "not_final": "Ask for days that are final: they are at day_final_hour of the next day.",
    "no_primary_ad_account": "Choose the primary ad account: send ad_account_selected.",
    "not_ranked": "Ask for a single thing that can be ranked.",
    "not_told": "Send the field with the record of the thing.",
    "no_card": "Send the record of the thing: its product, content or account.",
    "not_a_live": "Ask for a LIVE.",
    "no_earlier_live": "Nothing has to be mended: it is the account's first LIVE here.",
    "loading": "Ask again in a moment.",
}
"""By reason of a null, what makes it a value; `{topics}` are those that the metric needs."""

_SILENT: Final = frozenset({Unit.COUNT, Unit.STATUS, Unit.MONEY, Unit.RATE, Unit.INSTANT})
"""Units that a line of text need not say."""

_UNMENDED: Final = "See the metric in docs/METRICS.md."
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:,")


def why_null(reason: str, topics: Sequence[str]) -> dict[str, str]:
    """Return a reason in words, and its mend."""
    mend = MENDS.get(reason, _UNMENDED).format(topics=", ".join(topics) or "its topics")
    return {"reason": reason, "says": NULL_REASONS.get(reason, reason), "mend": mend}


def query_lines(words: Mapping[str, str | Sequence[str]], place: Sequence[str]) -> dict[str, str]:
    """Return the question as a command and as a path of the API.

    Args:
        words: parameters of a question, as `parse_request` takes them.
        place: words of the command that say whom to ask, such as `--url` and an address.
    """
    pairs = [
        (name, one)
        for name, value in words.items()
        for one in ((value,) if isinstance(value, str) else value)
        if one
    ]
    command = ["warroom", "query", *place, *(word for name, one in pairs for word in (f"--{name}", one))]
    api = [(name, one) for name, one in pairs if name != "at"]
    return {
        "command": shlex.join(command),
        "url": "/api/v1/query?" + "&".join(f"{name}={_percent(one)}" for name, one in api),
    }


def explanation_text(document: Mapping[str, Any]) -> str:
    """Return an explanation, as its JSON document has it, as text for a terminal."""
    title, name = document["title"], document["metric"]
    lines = [f"{title if title == name else f'{title} ({name})'}{', own' if document['own'] else ''}"]
    lines.append(document["line"])
    if document["row"]:
        lines.append("of " + ", ".join(f"{dim} {value}" for dim, value in document["row"].items()))
    lines.append(f"{document['shop']}, {document['window']}, {document['state']}, as of {document['as_of']}")
    if document["null"]:
        null = document["null"]
        lines.append(f"null because {null['says']} ({null['reason']}). {null['mend']}")
    if document["comparison"]:
        lines.append(_comparison_line(document["comparison"], document["timezone"]))
    if document["partial"]:
        lines.append("partial: the day is not over")
    lines += ["", f"counts    {document['definition']}"]
    if document["not_counted"]:
        lines.append(f"not       {document['not_counted']}")
    if document["advice"]:
        lines.append(f"advice    {document['advice']}")
    lines.append(f"formula   {document['formula']}")
    if document["parts"]:
        lines += ["", "made of"]
        lines += _part_lines(document["parts"], "  ")
    if document["outcomes"]:
        lines += ["", "records read in this run, of every shop"]
        for topic, outcomes in document["outcomes"].items():
            told = ", ".join(
                f"{number:,} {name}" for name, number in outcomes.items() if number or name == "counted"
            )
            lines.append(f"  {topic:<14} {told}")
    for source in document["sources"]:
        lines += ["", f"{source['kind']}: {source['total']:,} behind this cell, {len(source['rows'])} shown"]
        for row in source["rows"]:
            # What is 0 or not so says nothing here; JSON has all of it.
            told = "  ".join(f"{name}={value}" for name, value in row.items() if name != "place" and value)
            lines.append(f"  {row['place']}  {told}")
    lines += ["", "asked again", f"  {document['query']['command']}", f"  {document['query']['url']}"]
    return "\n".join(plain(line) for line in lines) + "\n"


def _comparison_line(said: Mapping[str, Any], timezone: str) -> str:
    days = " to ".join(said["days"]) or "no finished day"
    line = f"compared with {said['with']} ({days})"
    if "compared_shown" in said:
        line += (
            f": {said['compared_shown']}, difference {said['difference_shown']}, change {said['pct_shown']}"
        )
    if said["through_ms"] is not None:
        line += f"; both sides end at {instant(said['through_ms'], timezone)}"
    if said.get("null"):
        line += f"; nothing there because {said['null']['says']}. {said['null']['mend']}"
    return line


def _part_lines(parts: Sequence[Mapping[str, Any]], indent: str) -> list[str]:
    lines = []
    for part in parts:
        unit = "" if part["unit"] in _SILENT else f" {part['unit']}"
        state = f"{part['state']}, " if part["state"] else ""
        lines.append(f"{indent}{part['name']} = {part['shown']}{unit}  ({state}as of {part['as_of']})")
        lines += _part_lines(part["parts"], indent + "  ")
    return lines


def _percent(text: str) -> str:
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())
