"""Generate the tables of docs/STATE.md: settings from `streams.settings`, topics from `streams.topics`.

The page is prose with generated blocks between `<!-- generated: NAME -->` and `<!-- end of generated: NAME -->`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from streams.cubes import CUBES, TRAFFIC, Grain
from streams.settings import SECTIONS, GoalSettings, OwnMetricSettings, ShopSettings
from streams.settings_check import BOUNDS
from streams.topics import TOPICS, Role, Topic

PAGE: Final = "docs/STATE.md"

_ENTRY: Final = re.compile(r"^ {4}(?P<names>\w+(?:, \w+)*): (?P<text>.+)$")

_UNITS_MS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def documents(root: Path) -> dict[str, str]:
    """Return the pages with their generated blocks filled in, by path from `root`."""
    page = (root / PAGE).read_text(encoding="utf-8")
    for name, block in BLOCKS.items():
        page = _fill(page, name, block())
    return {PAGE: page}


def settings_table() -> str:
    """Return all settings with default, environment variable and purpose."""
    lines = ["| key | default | bounds | what it is for |", "| --- | --- | --- | --- |"]
    for section, kind in (
        *SECTIONS.items(),
        ("shops.<id>", ShopSettings),
        ("goals.<shop id>", GoalSettings),
        ("metrics.<id>", OwnMetricSettings),
    ):
        told = attributes_of(kind)
        for field in dataclasses.fields(kind):
            text = told.get(field.name, "")
            lines.append(
                f"| `{section}.{field.name}` | {_default(field)} | {_bounds(section, field)} | {_cell(text)} |"
            )
    return "\n".join(lines)


_KEPT: Final = {
    Role.SOURCE: "`fold.hot_days` and a day; in a replay for ever",
    Role.STATE: "30 days",
    Role.OUTPUT: "30 days",
    Role.CLOCK: "for ever",
}
"""As `agents.topics` sets it up, of topics that are not compacted."""


def topics_table() -> str:
    """Return all topics with what travels on them, their key, cleaning and partitions."""
    lines = [
        "| topic | holds | key | partitions | kept |",
        "| --- | --- | --- | --- | --- |",
    ]
    for topic in TOPICS.values():
        holds = ", ".join(f"`{name}`" for name in topic.event_types) or _ROLES[topic.role]
        partitions = "`kafka.partitions`" if topic.co_partitioned else "1"
        kept = "the latest of each key" if topic.compacted else _KEPT[topic.role]
        lines.append(f"| `{topic.name}` | {holds} | {_cell(_key(topic))} | {partitions} | {kept} |")
    return "\n".join(lines)


def cubes_table() -> str:
    """Return the cubes with their dimensions, grain, traffic, sketches and retention."""
    lines = [
        "| cube | adds up by | every | people | traffic | kept for |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cube in CUBES:
        people = "not kept" if cube.lg_k is None else f"sketch of 2^{cube.lg_k} registers"
        if cube.lg_k is not None and cube.sketch == "theta":
            people = f"theta sketch of 2^{cube.lg_k} hashes"
        traffic = (
            "all" if cube.event_types == TRAFFIC else ", ".join(f"`{name}`" for name in cube.event_types)
        )
        lines.append(
            f"| `{cube.name}` | {', '.join(cube.dims)} | {_GRAINS[cube.grain]} "
            f"| {people} | {traffic} | `fold.{cube.keep}` |"
        )
    return "\n".join(lines)


def attributes_of(kind: type) -> dict[str, str]:
    """Return attribute -> text of the `Attributes:` part of a class's docstring; `a, b: text` tells of both."""
    told: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for raw in (kind.__doc__ or "").splitlines():
        # The first line of a docstring is not indented; the others carry the indent of the class body.
        line = raw.removeprefix("    ")
        if line.strip() == "Attributes:":
            inside = True
        elif inside and (entry := _ENTRY.match(line)):
            names = entry["names"].split(", ")
            told |= dict.fromkeys(names, entry["text"])
        elif inside and line.strip():
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
    return told


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "cubes": cubes_table,
    "settings": settings_table,
    "topics": topics_table,
}
"""Generated block -> what fills it."""

_GRAINS: Final = {
    Grain.DAY: "business day of the shop",
    Grain.QUARTER: "quarter hour",
    Grain.MINUTE: "minute",
}

_ROLES: Final = {
    Role.SOURCE: "records from outside",
    Role.STATE: "what a worker keeps",
    Role.OUTPUT: "what the war room says",
    Role.CLOCK: "the recorded time of a replay",
}


def _fill(page: str, name: str, block: str) -> str:
    start = f"<!-- generated: {name} (make generate; do not edit) -->"
    end = f"<!-- end of generated: {name} -->"
    before, found_start, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        msg = f"{PAGE} has no block between {start} and {end}"
        raise ValueError(msg)
    return f"{before}{start}\n\n{block}\n\n{end}{after}"


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        return "none"
    if value is dataclasses.MISSING:
        return "none, it must be given"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and field.name.endswith("_ms"):
        return f"{value:_} ({_in_words(value, _UNITS_MS)})"
    if isinstance(value, int) and field.name.endswith("_bytes"):
        return f"{value:_} ({_in_words(value, _SIZES)})"
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 and field.name != "port" else str(value)
    if isinstance(value, tuple):
        return ", ".join(f'`"{item}"`' for item in value) or "none"
    return f'`"{value}"`' if isinstance(value, str) else str(value)


def _bounds(section: str, field: dataclasses.Field[Any]) -> str:
    """Return the bounds of a number; what is no number has none here."""
    if isinstance(field.default, bool) or not isinstance(field.default, int | float):
        return ""
    low, high = BOUNDS.get(f"{section}.{field.name}", (0, None))
    return f">= {low:_}" if high is None else f"{low:_} to {high:_}"


def _in_words(value: int, units: tuple[tuple[int, str], ...]) -> str:
    for size, unit in units:
        if value >= size and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value}"


def _key(topic: Topic) -> str:
    return f"`{topic.key}`" if topic.key else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
