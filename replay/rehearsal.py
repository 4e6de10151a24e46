"""This year's goal, stock and rules on a recorded day: every page that it would have sent.

The day is folded by the direct engine in steps of recorded time, and the rules are looked at after each step, as a
board would. Feeds are judged as live where the recording has heartbeats; without any, its silence is taken for "no
events", as on every replay (X-79).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from replay.direct import direct_flushes
from replay.engine import Engine
from replay.rehearsal_day import Day, StockOut, goal_lines, this_year
from replay.rehearsal_tally import Quiet, RuleTally, quiet_rules
from replay.simulated_stock import SimulatedStock
from streams.alerts import Alert, AlertRoute, AlertState
from streams.columns import Columns
from streams.days import MINUTE_MS
from streams.digest import digest
from streams.errors import RecordingError
from streams.names import sku_name
from streams.rule import Reading, Rule
from streams.rule_context import Memo, RuleContext
from streams.rulebook import rules_of
from streams.rules import RuleState, evaluate
from streams.topics import SOURCE_TOPICS

if TYPE_CHECKING:
    from replay.recording import Recording
    from streams.settings import Settings, ShopSettings
    from streams.setup import ReferenceRecord

HISTORY_PARTITION: Final = 1_000

IDLE_MS: Final = 5 * MINUTE_MS
"""While no record comes and no hold runs, the rules are looked at this often: nothing but time has changed."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is rehearsed beside the recording and the settings.

    Attributes:
        history: recordings that were before it; folded, not evaluated.
        every_ms: recorded time between two looks at the rules, >= 1 s.
        from_ms, to_ms: looks at the rules from here to here; None is the recording's begin and end.
        goal: in major units for `goal_metric` gmv, else a count; in place of the recorded one. None: as recorded.
        stock_share: simulated starting stocks by what was sold; None: the recorded stock feed.
        records: this year's campaign, products and shop, laid on the first day.
    """

    history: tuple[Recording, ...] = ()
    every_ms: int = MINUTE_MS
    from_ms: int | None = None
    to_ms: int | None = None
    goal: float | None = None
    goal_metric: str = "gmv"
    stock_share: float | None = None
    records: tuple[ReferenceRecord, ...] = ()


@dataclass(slots=True)
class Rehearsal:
    """What came of it under one set of settings.

    Attributes:
        from_ms, to_ms: of the looks at the rules; looks: how many.
        opened: every alert as it opened or was said, in order; the newest version of each is in `newest`, by id.
        stock_outs: in order of time.
        quiet: rules that never fired.
        simulated_skus: with a simulated stock; 0 where the recorded feed was used.
        listened: feeds were judged by their heartbeats.
    """

    from_ms: int
    to_ms: int
    looks: int = 0
    opened: list[Alert] = field(default_factory=list)
    newest: dict[str, Alert] = field(default_factory=dict)
    stock_outs: list[StockOut] = field(default_factory=list)
    quiet: list[Quiet] = field(default_factory=list)
    simulated_skus: int = 0
    listened: bool = False

    @property
    def pages(self) -> list[Alert]:
        """Return what would have interrupted a person."""
        return [alert for alert in self.opened if alert.route is AlertRoute.PAGE]


@dataclass(slots=True)
class _Run:
    """One set of settings on its way through the day."""

    settings: Settings
    result: Rehearsal
    state: RuleState = field(default_factory=RuleState)
    tallies: dict[str, RuleTally] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    memo: Memo = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = tuple(self._counted(rule) for rule in rules_of(self.settings))

    def _counted(self, rule: Rule) -> Rule:
        tally = self.tallies[rule.number] = RuleTally()

        def find(context: RuleContext) -> Iterator[Reading]:
            for reading in rule.find(context):
                tally.take(reading)
                yield reading

        return dataclasses.replace(rule, find=find)

    def listen(self, *, listens: bool) -> None:
        """Take note of whether heartbeats tell silence from death; without, no rule looks for a dead feed."""
        self.result.listened = listens
        if not listens:
            self.rules = tuple(rule for rule in self.rules if rule.entity != "topic")

    def look(self, columns: Columns, shop: ShopSettings, now_ms: int) -> list[Alert]:
        """Look at the rules once; return what opened."""
        # What several answers ask the columns for are the settings of this run.
        columns.settings = self.settings
        context = RuleContext(columns, shop, self.settings, now_ms, self.state.incidents, memo=self.memo)
        for rule in self.rules:
            tally = self.tallies[rule.number]
            tally.looks += 1
            tally.held += context.holds(rule.reads)
        alerts = [*evaluate(self.state, self.rules, context), *digest(self.state, context)]
        # What is open is published anew with newer figures; nobody is told again.
        known = self.result.newest.keys()
        opened = [
            alert
            for alert in alerts
            if alert.state is not AlertState.RESOLVED and alert.alert_id not in known
        ]
        self.result.newest |= {alert.alert_id: alert for alert in alerts}
        self.result.opened += opened
        return opened


def rehearse(
    recording: Recording,
    variants: Sequence[Settings],
    wishes: Wishes,
    *,
    told: Callable[[Alert], None] = lambda _: None,
    wait: Callable[[int], None] = lambda _: None,
) -> list[Rehearsal]:
    """Run the rules over a recorded span and return what came of it, once per set of settings.

    Args:
        recording: lines in the order of R.
        variants: settings of this year; at least one. They share the fold, so they differ in its sections in vain.
        wishes: see there.
        told: called with what opens under the first settings, as it opens.
        wait: called with each instant before its records are folded; sleeps for a speed.

    Raises:
        RecordingError: the recording cannot be read, or holds nothing in the span.
        SettingsError: the records of this year are of another shop.
    """
    first_ms, last_ms = recording.span_ms()
    begin_ms, end_ms = max(first_ms, wishes.from_ms or first_ms), min(last_ms, wishes.to_ms or last_ms)
    if end_ms <= begin_ms:
        what = f"{recording.folder} holds nothing in that span."
        raise RecordingError(what, mend="Choose --from and --to-time inside the recording.")
    settings = [one.with_shops(recording.shops) for one in variants]
    runs = [_Run(one, Rehearsal(begin_ms, end_ms)) for one in settings]
    columns = Columns(settings[0])
    for number, past in enumerate(wishes.history, HISTORY_PARTITION):
        for flush in direct_flushes(past, settings[0], first_partition=number):
            columns.apply(flush, history=True)
    lines = recording.lines(to_ms=end_ms)
    if wishes.stock_share is not None:
        simulated = SimulatedStock(recording, wishes.stock_share, from_ms=begin_ms, to_ms=end_ms)
        for run in runs:
            run.result.simulated_skus = simulated.skus
        lines = simulated.lines()
    day = Day(columns, Engine(recording, settings[0]), lines)
    day.run_up(begin_ms)
    day.fold(this_year(recording, settings[0], wishes.records, begin_ms))
    _step(day, runs, wishes, told, wait)
    for run in runs:
        run.result.stock_outs = _judged(day, run)
        run.result.quiet = quiet_rules(run.tallies, columns, recording.shops, listened=run.result.listened)
    return [run.result for run in runs]


def _step(
    day: Day, runs: list[_Run], wishes: Wishes, told: Callable[[Alert], None], wait: Callable[[int], None]
) -> None:
    result = runs[0].result
    settings = runs[0].settings
    # The first minutes are the feeds' to report themselves: nothing is missing yet.
    now_ms = result.from_ms + settings.board.stale_after_ms
    goal_set = wishes.goal is None
    listens: bool | None = None
    looked_ms = 0
    while True:
        now_ms = min(now_ms, result.to_ms)
        wait(now_ms)
        folded = day.fold_to(now_ms)
        waits = any(run.state.firing_since or run.state.clear_since for run in runs)
        if not (folded or waits or now_ms - looked_ms >= IDLE_MS or now_ms >= result.to_ms):
            now_ms += wishes.every_ms
            continue
        looked_ms = now_ms
        if listens is None:
            listens = _has_heartbeats(day.columns)
            for run in runs:
                run.listen(listens=listens)
        if not listens:
            day.columns.vouch(now_ms)
        if not goal_set:
            span_ms = result.from_ms, result.to_ms
            lines = goal_lines(
                day.columns, settings, wishes.goal or 0.0, wishes.goal_metric, span_ms=span_ms, now_ms=now_ms
            )
            day.fold(lines)
            goal_set = True
        for number, run in enumerate(runs):
            run.result.looks += 1
            for shop_id in day.columns.shops():
                for alert in run.look(day.columns, run.settings.shops[shop_id], now_ms):
                    if not number:
                        told(alert)
        if now_ms >= result.to_ms:
            return
        now_ms += wishes.every_ms


def _has_heartbeats(columns: Columns) -> bool:
    return any(
        columns.heartbeat_until_ms(shop_id, topic.name) is not None
        for shop_id in columns.shops()
        for topic in SOURCE_TOPICS
    )


def _judged(day: Day, run: _Run) -> list[StockOut]:
    """Return the stock-outs of the day with what was told of each before it happened."""
    found = []
    columns = day.columns
    names = {
        (shop_id, str(sku)): sku_name(product, str(sku), str(product.product_id))
        for shop_id in columns.shops()
        for product in columns.products(shop_id).values()
        for sku in product.sku_ids
    }
    for out in day.stock_outs:
        if out.at_ms > run.result.to_ms:
            continue
        pages = [
            run.result.newest[alert.alert_id]
            for alert in run.result.opened
            if (alert.shop_id, alert.sku_id, alert.rule) == (out.shop_id, out.sku_id, "A-01")
            and alert.route is AlertRoute.PAGE
            and alert.opened_at_ms <= out.at_ms
        ]
        still_open = [
            page for page in pages if page.resolved_at_ms is None or page.resolved_at_ms >= out.at_ms
        ]
        digests = [
            alert.opened_at_ms
            for alert in run.result.opened
            if alert.route is AlertRoute.DIGEST
            and alert.shop_id == out.shop_id
            and alert.opened_at_ms <= out.at_ms
            and any(line.sku_id == out.sku_id for line in alert.lines)
        ]
        found.append(
            dataclasses.replace(
                out,
                name=names.get((out.shop_id, out.sku_id), out.sku_id),
                warned_ms=min((page.opened_at_ms for page in still_open), default=None),
                eased_ms=None if still_open else max((page.opened_at_ms for page in pages), default=None),
                digest_ms=min(digests, default=None),
            )
        )
    return sorted(found, key=lambda out: (out.at_ms, out.sku_id))
