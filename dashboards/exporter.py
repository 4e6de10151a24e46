"""`/metrics`: a custom collector over an immutable snapshot of the board.

State is exported, so nothing is set and forgotten: every scrape shows what the board knows then, and a shop that has
gone is gone. A figure that is null has no sample (X-27): absence is not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboards import series
from streams.alerts import AlertState
from streams.board import ReportsLag
from streams.errors import QueryError
from streams.outcomes import DEAD_LETTERS, Outcome
from streams.overview import WATCHED_TOPICS, aligned_ms, reference_day, window_since_midnight
from streams.query import run
from streams.request import parse_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboards.series import Series
    from streams.board import Board

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Sample(NamedTuple):
    """One sample: its series, its label values in the series' order, its value."""

    series: Series
    labels: tuple[str, ...]
    value: float


class Snapshot(NamedTuple):
    """What one scrape shows; `dropped` series did not fit into the budget."""

    samples: tuple[Sample, ...]
    dropped: int


class SnapshotCollector(Collector):
    """Give a snapshot to prometheus_client."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has a sample."""
        families: dict[str, Metric] = {}
        for sample in self._snapshot.samples:
            kind = sample.series
            family = families.get(kind.name)
            if kind.kind == "info":
                info = family or families.setdefault(kind.name, InfoMetricFamily(kind.name, kind.help))
                info.add_sample(kind.exposed, dict(zip(kind.labels, sample.labels, strict=True)), 1)
                continue
            if family is None:
                made = CounterMetricFamily if kind.kind == "counter" else GaugeMetricFamily
                family = families[kind.name] = made(kind.name, kind.help, labels=kind.labels)
            family.add_sample(kind.exposed, dict(zip(kind.labels, sample.labels, strict=True)), sample.value)
        yield from families.values()


class Exporter:
    """Answer `GET /metrics`.

    Args:
        board: what is exported.
        streams_open: how many pages are connected.
        evaluated_ms: wall time at which stock, goals and rules were last looked at; None before the first.
    """

    def __init__(
        self,
        board: Board,
        *,
        streams_open: Callable[[], int],
        evaluated_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._board = board
        self._streams_open = streams_open
        self._evaluated_ms = evaluated_ms

    async def handle(self, _request: web.Request) -> web.StreamResponse:
        """Give the text exposition of a fresh snapshot."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(SnapshotCollector(await self._board.in_turn(self.snapshot)))
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE})

    def snapshot(self) -> Snapshot:
        """Take the samples of now, in turn; health first, then shop by shop while the budget lasts."""
        budget = self._board.settings.board.series_budget - 1
        kept = self._health()
        shops = self._board.columns.shops()
        dropped = 0
        for number, shop_id in enumerate(shops):
            # A shop in part would look like a shop that sells less: all of it or nothing.
            samples = [*self._shop_health(shop_id), *self._figures(shop_id)]
            if len(kept) + len(samples) > budget:
                dropped = series.A_SHOP * (len(shops) - number)
                break
            kept.extend(samples)
        kept.append(Sample(series.DROPPED, (), dropped))
        return Snapshot(tuple(kept), dropped)

    def _health(self) -> list[Sample]:
        board = self._board
        samples = [
            Sample(series.NOW, (), board.now_ms() / 1000),
            Sample(series.READY, (), float(board.ready() is None)),
            Sample(series.STREAMS, (), self._streams_open()),
        ]
        if isinstance(board, ReportsLag) and (lag := board.lag()) is not None:
            samples.append(Sample(series.LAG, (), lag))
        if (at_ms := self._evaluated_ms()) is not None:
            samples.append(Sample(series.EVALUATION, (), at_ms / 1000))
        for topic, outcomes in board.columns.outcomes().items():
            # Known series start at 0, or the first increase of a rare outcome is invisible to increase().
            samples.append(Sample(series.READ, (topic,), sum(outcomes.values())))
            for outcome in Outcome:
                records = outcomes.get(outcome, 0)
                samples.append(Sample(series.RECORDS, (topic, outcome.value), records))
                if outcome in DEAD_LETTERS:
                    samples.append(Sample(series.DEAD, (topic, outcome.value), records))
        return samples

    def _shop_health(self, shop_id: str) -> list[Sample]:
        columns = self._board.columns
        shop = columns.shop(shop_id)
        firing = [
            one for one in self._board.alerts() if one.shop_id == shop_id and one.state is AlertState.OPEN
        ]
        samples = [
            Sample(series.SHOP_INFO, (shop_id, shop.currency, shop.timezone), 1),
            Sample(series.ALERTS, (shop_id,), len(firing)),
            Sample(series.DISAGREES, (shop_id,), float(columns.shop_disagrees(shop_id))),
        ]
        for topic in WATCHED_TOPICS:
            if (span := columns.span(shop_id, topic)) is not None:
                samples.append(Sample(series.LAST_EVENT, (shop_id, topic), span.last_ms / 1000))
            if (mark := columns.watermark_ms(shop_id, topic)) is not None:
                samples.append(Sample(series.COMPLETE_UNTIL, (shop_id, topic), mark / 1000))
        return samples

    def _figures(self, shop_id: str) -> Iterator[Sample]:
        if self._board.ready() is not None:
            return
        now_ms = self._board.now_ms()
        for window in ("today", "campaign"):
            for names in (series.SLICED_FACTS, series.SLICED_TRAFFIC):
                for row in self._rows(shop_id, names, now_ms, window=window, by="slice"):
                    yield from _samples(row, names, (shop_id, str(row["slice"]), window))
        for row in self._rows(shop_id, series.RECENT.values(), now_ms, window="today", by="slice"):
            for name, metric in series.RECENT.items():
                if isinstance(value := row.get(metric), int | float):
                    yield Sample(series.BUSINESS[name], (shop_id, str(row["slice"]), "last_15m"), value)
        yield from self._reference(shop_id, now_ms)
        for row in self._rows(shop_id, series.CAMPAIGN, now_ms, by="campaign"):
            yield from _samples(row, series.CAMPAIGN, (shop_id, str(row["campaign"])))
        for row in self._rows(shop_id, series.SHOP, now_ms):
            yield from _samples(row, series.SHOP, (shop_id,))

    def _reference(self, shop_id: str, now_ms: int) -> Iterator[Sample]:
        columns = self._board.columns
        day = reference_day(columns, columns.shop(shop_id), now_ms)
        if day is None:
            return
        calendar = columns.calendar(shop_id)
        then_ms = aligned_ms(calendar, now_ms, day)
        window = window_since_midnight(calendar, then_ms)
        for row in self._rows(shop_id, series.REFERENCED, then_ms, window=window):
            yield from _samples(row, series.REFERENCED, (shop_id, "all", "reference"))

    def _rows(
        self, shop_id: str, metrics: Iterable[str], now_ms: int, **more: str
    ) -> Sequence[dict[str, object]]:
        """Return the rows of an answer; none where the question has no answer for this shop (no campaign, say)."""
        request = parse_request({"metrics": ",".join(metrics), "shop": shop_id, **more})
        try:
            rows: list[dict[str, object]] = run(self._board.columns, request, now_ms=now_ms).document()[
                "rows"
            ]
        except QueryError:
            return []
        return rows


def _samples(row: dict[str, object], metrics: Iterable[str], labels: tuple[str, ...]) -> Iterator[Sample]:
    for name in metrics:
        if isinstance(value := row.get(name), int | float):
            yield Sample(series.BUSINESS[name], labels, value)
