"""Generate the table of docs/ALERTS.md from the rulebook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.rule import Rule
from streams.rulebook import RULES

PAGE: Final = "docs/ALERTS.md"
START: Final = "<!-- generated: rules (make generate; do not edit) -->"
END: Final = "<!-- end of generated: rules -->"

_SETTING: Final = re.compile(r"\b(?:rules|stock|board|goals)\.[a-z]\w*")


def documents(root: Path) -> dict[str, str]:
    """Return the page with its table filled in, by path from `root`."""
    page = (root / PAGE).read_text(encoding="utf-8")
    before, found_start, rest = page.partition(START)
    _, found_end, after = rest.partition(END)
    if not (found_start and found_end):
        msg = f"{PAGE} has no block between {START} and {END}"
        raise ValueError(msg)
    return {PAGE: f"{before}{START}\n\n{rules_table()}\n\n{END}{after}"}


def rules_table() -> str:
    """Return all rules with what they look at, when they fire and clear, and who is told."""
    lines = [
        "| rule | of each | fires | least | clears | held for, to open and to close | told | what to do |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rule in RULES:
        cells = (
            f"{rule.number} `{rule.key}`<br>{rule.title}",
            rule.entity,
            rule.condition,
            rule.minimum or "none",
            rule.clears,
            f"{_span(rule.hold_ms)}, {_span(rule.clear_ms)}",
            f"{rule.route.value}: {rule.owner.value}",
            _runbook(rule),
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _runbook(rule: Rule) -> str:
    return f"[{rule.advice}](RUNBOOK.md#{rule.runbook})" if rule.runbook else rule.advice


def _cell(text: str) -> str:
    return _SETTING.sub(lambda found: f"`{found[0]}`", text).replace("|", "\\|")


def _span(ms: int) -> str:
    if ms == 0:
        return "0"
    return f"{ms // 60_000} min" if ms % 60_000 == 0 else f"{ms // 1_000} s"
