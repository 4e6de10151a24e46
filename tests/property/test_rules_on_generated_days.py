"""Rules that page, on whole generated days: quiet where nothing is wrong, awake where something is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replay.engine import Engine
from replay.generator.scenario import generate
from replay.recording import Line, Recording
from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS
from streams.rule import Judgement, Reading, Rule
from streams.rule_context import RuleContext
from streams.rule_price import PRICE_SLIP
from streams.rule_sales import CANCEL_SPIKE, SALES_STOP
from streams.settings import Settings

SCALE = 2.0
"""At scale 1 an evening brings ten orders in ten minutes, of which no rule may say anything."""

EVENING_MS = 20 * HOUR_MS
CUT_MS = EVENING_MS + 30 * MINUTE_MS

Change = Callable[[Line, int], Line | None]


def whole(line: Line, _: int) -> Line | None:
    return line


def walk(
    folder: Path,
    rules: tuple[Rule, ...],
    *,
    from_ms: int,
    to_ms: int = 24 * HOUR_MS,
    step_ms: int,
    change: Change = whole,
) -> Iterator[tuple[int, Rule, Reading]]:
    """Yield what the rules find while a recording is folded, as known at each step of the shop's day.

    Args:
        folder: of the recording, one day of one shop.
        rules: to ask.
        from_ms: first instant at which they are asked, from midnight.
        to_ms: and the last one.
        step_ms: between two of them.
        change: what becomes of a line, given its time since midnight; None drops it.
    """
    recording = Recording.open(folder)
    settings = Settings().with_shops(recording.shops)
    (shop,) = recording.shops.values()
    engine, columns = Engine(recording, settings), Columns(settings)
    calendar = columns.calendar(shop.shop_id)
    midnight_ms = calendar.day_start_ms(calendar.day_of(recording.span_ms()[0] + HOUR_MS))
    waiting: list[Line] = []
    next_ms = midnight_ms + from_ms
    for line in recording.lines():
        while line.timestamp_ms > next_ms:
            engine.fold(waiting)
            waiting = []
            for flush in engine.flushes():
                columns.apply(flush)
            context = RuleContext(columns, shop, settings, next_ms)
            for rule in rules:
                for reading in rule.find(context):
                    yield next_ms - midnight_ms, rule, reading
            next_ms += step_ms
            if next_ms > midnight_ms + to_ms:
                return
        changed = change(line, line.timestamp_ms - midnight_ms)
        if changed is not None:
            waiting.append(changed)


@pytest.fixture(scope="module")
def seed_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day") / "r"
    generate(folder, seed=1, scale=SCALE)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_campaign_day_with_flash_sale_stock_out_bots_and_a_late_feed_has_no_false_page(
    seed: int, tmp_path: Path
) -> None:
    generate(tmp_path / "r", seed=seed, scale=SCALE)
    rules = (SALES_STOP, PRICE_SLIP, CANCEL_SPIKE)
    found = list(walk(tmp_path / "r", rules, from_ms=HOUR_MS, step_ms=10 * MINUTE_MS))
    assert [(at_ms, reading) for at_ms, _, reading in found if reading.judgement is Judgement.FIRES] == []
    # The rules had enough to go by: of the evening's looks most were no shrug.
    said = {rule.number: 0 for rule in rules}
    for _, rule, reading in found:
        said[rule.number] += reading.judgement in (Judgement.CLEAR, Judgement.BETWEEN)
    assert said["A-77"] >= 20
    assert said["A-78"] >= 100
    # A day without days before has no level of cancellations.
    assert said["A-63"] == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_orders_that_stop_while_heartbeats_go_on_fire_within_a_quarter_of_an_hour(seed_one: Path) -> None:
    def without_orders(line: Line, at_ms: int) -> Line | None:
        return None if at_ms >= CUT_MS and line.topic == "cm.orders" else line

    found = walk(
        seed_one,
        (SALES_STOP,),
        from_ms=EVENING_MS,
        to_ms=CUT_MS + 30 * MINUTE_MS,
        step_ms=MINUTE_MS,
        change=without_orders,
    )
    first_ms = next(at_ms for at_ms, _, reading in found if reading.judgement is Judgement.FIRES)
    assert CUT_MS < first_ms <= CUT_MS + 15 * MINUTE_MS


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_dead_order_feed_is_held_and_never_taken_for_a_stop(seed_one: Path) -> None:
    def dead_feed(line: Line, at_ms: int) -> Line | None:
        if at_ms < CUT_MS:
            return line
        if line.topic == "cm.orders":
            return None
        if line.topic != "cm.heartbeats":
            return line
        fed = json.loads(line.value or b"{}")["topics"]
        return None if any(name.endswith("orders") for name in fed) else line

    found = list(
        walk(
            seed_one,
            (SALES_STOP,),
            from_ms=EVENING_MS,
            to_ms=CUT_MS + 40 * MINUTE_MS,
            step_ms=MINUTE_MS,
            change=dead_feed,
        )
    )
    assert Judgement.FIRES not in {reading.judgement for _, _, reading in found}
    after = {reading.judgement for at_ms, _, reading in found if at_ms > CUT_MS + 10 * MINUTE_MS}
    assert after == {Judgement.HELD}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_price_of_a_tenth_pages_and_names_the_skus_it_was_set_on(seed_one: Path) -> None:
    def cheaper(line: Line, at_ms: int) -> Line | None:
        if at_ms < CUT_MS or line.topic != "cm.orders":
            return line
        event = json.loads(line.value or b"{}")
        if event["event_type"] != "order_paid":
            return line
        for each in event["lines"]:
            if each["product_id"] == "linen-wrap-dress":
                each["goods_paid_minor"] //= 10
        return line._replace(value=json.dumps(event).encode())

    found = walk(
        seed_one,
        (PRICE_SLIP,),
        from_ms=EVENING_MS,
        to_ms=CUT_MS + 30 * MINUTE_MS,
        step_ms=MINUTE_MS,
        change=cheaper,
    )
    fired = [(at_ms, reading) for at_ms, _, reading in found if reading.judgement is Judgement.FIRES]
    assert fired[0][0] <= CUT_MS + 20 * MINUTE_MS
    assert {reading.entity.product_id for _, reading in fired} == {"linen-wrap-dress"}
