"""The world that features are asked of: a generated day with what lies behind it, folded once, and its lines.

Answers are lists of rows, so that each can be nulled in the same way.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from replay.direct import load_columns
from replay.generator.scenario import generate
from replay.recording import Recording
from streams.catalogue import DIMENSIONS
from streams.errors import QueryError
from streams.export import chunks
from streams.export_views import answer_export, read_export
from streams.metric import Metric
from streams.query import parse_request, run
from streams.rule import Judgement
from streams.rule_context import RuleContext
from streams.rulebook import rule_of
from streams.settings import Settings
from streams.views import VIEWS, run_view
from tests.features import history
from tests.features.history import DAY_MS, HOUR, LARGE, SHOP, SMALL
from tests.oracle import generated_day

if TYPE_CHECKING:
    from streams.columns import Columns
    from tests.oracle.generated_day import GeneratedDay

DAY: Final = "2026-11-27"
BEFORE: Final = "2026-11-26"
END_MS: Final = DAY_MS + 24 * HOUR - 1
ON_AIR_MS: Final = DAY_MS + 21 * HOUR
"""Nine in the evening: two LIVEs are on air, one of them with an open violation."""

Rows = list[dict[str, Any]]

KEPT: Final = frozenset({*DIMENSIONS, "part", "Tab Name", "rule", "entity", "asked", "name"})
"""Columns that say which row it is: an answer of nulls keeps them."""


@dataclass
class World:
    """A day of a shop, with two small shops beside it.

    Attributes:
        folder: of the recording.
        oracle: what is left of the first shop's lines, read apart from the product.
        events: of the first shop by type, each event_id once.
        columns: the end of the day.
    """

    folder: Path
    oracle: GeneratedDay
    events: dict[str, list[dict[str, Any]]]
    columns: Columns
    earlier: dict[int, Columns] = field(default_factory=dict)

    def at(self, until_ms: int) -> Columns:
        """Return what was known at an instant."""
        if until_ms >= END_MS:
            return self.columns
        if until_ms not in self.earlier:
            self.earlier[until_ms] = _load(self.folder, until_ms)
        return self.earlier[until_ms]

    def view(self, name: str, part: str, *, now_ms: int = END_MS, **words: str) -> Rows:
        """Return the rows of a part of a view, on the generated day."""
        wanted = {"shop": SHOP, "window": f"day:{DAY}", "part": part, **words}
        (found,) = run_view(self.at(now_ms), VIEWS[name], wanted, now_ms=now_ms).parts
        assert found.answer is not None, found.refused
        return [dict(row) for row in found.answer.rows]

    def query(self, metrics: str, by: str = "", *, now_ms: int = END_MS, **words: str) -> Rows:
        """Return the rows of a question, on the generated day."""
        wanted = {"shop": SHOP, "window": f"day:{DAY}", "metrics": metrics, "by": by, **words}
        request = parse_request({name: text for name, text in wanted.items() if text})
        return [dict(row) for row in run(self.at(now_ms), request, now_ms=now_ms).rows]

    def refusal(self, ask: Callable[[], object], asked: str = "") -> Rows:
        """Return the reason and the words with which a question is refused; no row when it is not."""
        try:
            ask()
        except QueryError as error:
            return [{"asked": asked, "reason": error.reason, "says": str(error)}]
        return []

    def export(self, view: str, **words: str) -> Rows:
        """Return the rows of an exported CSV."""
        known: dict[str, Metric] = {}
        export = read_export({"view": view, "shop": SHOP, "window": f"day:{DAY}", **words}, known)
        tables, _ = answer_export(self.columns, export, now_ms=END_MS)
        text = "".join(part.decode() for part in chunks(tables, export.form))
        return list(csv.DictReader(io.StringIO(text)))

    def readings(self, rule: str, *, shop: str = SHOP, now_ms: int = END_MS) -> Rows:
        """Return what a rule finds of each entity, with the sentence that it says."""
        record, columns = rule_of(rule), self.at(now_ms)
        assert record is not None
        settings = Settings()
        context = RuleContext(columns, columns.shop(shop), settings, now_ms)
        return [
            {
                "rule": rule,
                "entity": found.entity.id,
                "judgement": found.judgement.value,
                "value": found.value,
                "threshold": found.threshold,
                "says": record.text(found, context) if found.judgement is Judgement.FIRES else "",
                "advice": record.advice,
                "route": (found.route or record.route).value,
            }
            for found in record.find(context)
        ]

    def figures(self, *by: str, day: str = DAY) -> dict[tuple[str, ...], dict[str, float | None]]:
        """Return the oracle's figures of a day by other dimensions."""
        found = self.oracle.figures(("day", *by))
        return {key[1:]: row for key, row in found.items() if key[0] == day}

    def of_day(self, kind: str, day: str = DAY) -> list[dict[str, Any]]:
        """Return the events of a type that occurred on a day."""
        start = DAY_MS if day == DAY else DAY_MS - 24 * HOUR
        return [
            one for one in self.events.get(kind, []) if start <= one["occurred_at_ms"] < start + 24 * HOUR
        ]

    def engaged(self, name: str) -> int:
        """Return the sum of a count over the day's engagement."""
        return sum(one[name] for one in self.buckets)

    @cached_property
    def buckets(self) -> list[dict[str, Any]]:
        """Engagement of the day by the time that it tells of, each key once."""
        found = {}
        for one in self.events["content_engagement"]:
            if DAY_MS <= one["bucket_start_ms"] <= END_MS:
                names = ("content_id", "bucket_start_ms", "territory", "age_band", "gender")
                found[tuple(one.get(name) for name in names)] = one
        return list(found.values())

    @cached_property
    def ad_hours(self) -> list[dict[str, Any]]:
        """Hours of the day's ads, the highest revision of each."""
        found: dict[tuple[str, str, int], dict[str, Any]] = {}
        for one in sorted(self.events["ad_metric"], key=lambda each: each["revision"]):
            if DAY_MS <= one["bucket_start_ms"] <= END_MS:
                found[one["ad_account_id"], one["ad_id"], one["bucket_start_ms"]] = one
        return list(found.values())

    def ads(self, name: str, account: str = "ads-own") -> int:
        """Return the sum of a count over the day's ads of an account."""
        return sum(one[name] for one in self.ad_hours if one["ad_account_id"] == account)

    def gmv(self, chosen: Callable[[dict[str, Any]], bool] = lambda _: True, day: str = DAY) -> float:
        """Return goods and shipping of the day's lines that a test chooses, whole money."""
        lines = self.oracle.lines.filter(day=day).iter_rows(named=True)
        return float(sum(line["goods"] + line["shipping"] for line in lines if chosen(line)) / 100)

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Raw order lines of all days with their source block, each order once."""
        orders = {one["order_id"]: one for one in self.events["order_paid"]}
        return [
            {**line, "order": one, "money": line["goods_paid_minor"] + line["shipping_paid_minor"]}
            for one in orders.values()
            for line in one["lines"]
        ]


def nulled(rows: Rows) -> Rows:
    """Return an answer whose every value is null; which row is which stays."""
    return [{name: value if name in KEPT else None for name, value in row.items()} for row in rows]


def build(folder: Path) -> World:
    """Generate the day, put the past before it, and fold it."""
    generate(folder, seed=11, scale=0.15, compression="none")
    history.write(folder / "a-history.jsonl", history.yesterday())
    oracle = generated_day.read(folder)
    events: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            one = json.loads(text)["value"]
            events.setdefault(one["event_type"], {}).setdefault(one["event_id"], one)
    others = history.other(SMALL, size="small", industry="e-commerce", goal="ads", scale=1)
    others += history.other(LARGE, size="enterprise", industry="health", goal="drive_sales", scale=20)
    history.write(folder / "a-history.jsonl", [*history.yesterday(), *others])
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["shops"] += [
        {"shop_id": name, "timezone": "America/Los_Angeles", "currency": "USD"} for name in (SMALL, LARGE)
    ]
    manifest.pop("topics")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = {kind: list(each.values()) for kind, each in events.items()}
    return World(folder, oracle, found, _load(folder, None))


def _load(folder: Path, until_ms: int | None) -> Columns:
    recording = Recording.open(folder)
    return load_columns(recording, Settings().with_shops(recording.shops), until_ms=until_ms)
