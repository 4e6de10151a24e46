"""A recorded day under this year's goal, stock and rules: what it would have sent, and what a change would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from replay.recording import Recording
from replay.rehearsal import Rehearsal, Wishes, rehearse
from replay.rehearsal_report import alert_line, change_lines, change_of, document, report_lines
from replay.simulated_stock import SimulatedStock
from streams.alerts import AlertRoute
from streams.days import HOUR_MS, MINUTE_MS
from streams.errors import RecordingError, SettingsError
from streams.rule_settings import RuleSettings
from streams.settings import Settings
from streams.settings_check import changed_settings
from streams.setup import Answers, parse_references, reference_lines
from tests.unit.replay.days import BEGIN_MS, ENDS_MS, RUNS_OUT_MS, SELLS_FROM_MS, SHOP_ID, STOCK, selling_day
from warroom.cli import main

EVERY_MS = 10 * MINUTE_MS
"""Far enough apart for a quick test; a page may stand so much later than on a board."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return selling_day(tmp_path_factory.mktemp("day") / "day")


@pytest.fixture(scope="module")
def found(day: Recording) -> Rehearsal:
    return rehearse(day, [Settings()], Wishes(every_ms=EVERY_MS))[0]


def quiet(found: Rehearsal) -> dict[str, tuple[bool, str]]:
    return {one.rule: (one.could, one.why) for one in found.quiet}


def test_a_page_foretells_the_stock_out_and_the_channel_hears_that_it_came(found: Rehearsal) -> None:
    told = [alert for alert in found.opened if alert.sku_id == "dress-M"]
    assert [(alert.rule, alert.route.value) for alert in told] == [("A-01", "page"), ("A-02", "channel")]
    foretold, came = told
    assert found.pages == [foretold]
    # One a minute with 240 in stock: three hours before the end 180 are left, an hour after the first sale.
    assert SELLS_FROM_MS < foretold.opened_at_ms < RUNS_OUT_MS
    assert RUNS_OUT_MS <= came.opened_at_ms <= RUNS_OUT_MS + EVERY_MS


def test_the_lead_to_the_real_stock_out_is_from_the_page_to_the_last_unit(found: Rehearsal) -> None:
    (out,) = found.stock_outs
    assert (out.sku_id, out.name, out.at_ms) == ("dress-M", "Linen dress", RUNS_OUT_MS)
    assert out.warned_ms == found.pages[0].opened_at_ms
    (told,) = document(found)["stock_outs"]
    assert told["lead_ms"] == RUNS_OUT_MS - found.pages[0].opened_at_ms > HOUR_MS


def test_pages_are_counted_by_the_hour_in_which_they_opened(found: Rehearsal) -> None:
    counts = document(found)["pages_per_hour"]
    assert list(counts.values()) == [1]
    assert all(int(hour_ms) % HOUR_MS == 0 for hour_ms in counts)


def test_a_rule_that_never_could_fire_says_what_it_lacks(found: Rehearsal) -> None:
    said = quiet(found)
    assert said["A-41"] == (False, "no campaign with a goal")
    assert said["A-77"] == (False, "no source: clicks")
    assert "A-01" not in said


def test_a_rule_that_is_switched_off_is_named(day: Recording) -> None:
    settings = Settings(rules=RuleSettings(off=("A-02",)))
    (found,) = rehearse(day, [settings], Wishes(every_ms=EVERY_MS))
    assert quiet(found)["A-02"] == (False, "switched off by rules.off")
    assert [page.rule for page in found.pages] == ["A-01"]


def test_a_changed_number_shows_what_it_adds_takes_and_moves(day: Recording, found: Rehearsal) -> None:
    stricter = changed_settings(Settings(), ["stock.page_min_sales=1000"])
    later = changed_settings(Settings(), ["stock.page_lead_minutes=30"])
    before, without, moved = rehearse(day, [Settings(), stricter, later], Wishes(every_ms=EVERY_MS))
    assert [page.alert_id for page in before.pages] == [page.alert_id for page in found.pages]
    taken = change_of(before, without)
    assert (len(taken.added), len(taken.removed), len(taken.moved)) == (0, 1, 0)
    assert len(change_of(without, before).added) == 1
    ((old, new),) = change_of(before, moved).moved
    assert new.opened_at_ms - old.opened_at_ms > HOUR_MS
    lines = list(change_lines(change_of(before, moved), "stock.page_lead_minutes=30"))
    assert lines[0] == "With stock.page_lead_minutes=30: 0 more, 0 fewer, 1 at another time"
    assert "later: " in lines[1]


def test_what_opens_is_told_as_it_opens_and_waits_come_in_the_order_of_time(day: Recording) -> None:
    told: list[str] = []
    waits: list[int] = []
    (found,) = rehearse(
        day,
        [Settings()],
        Wishes(every_ms=EVERY_MS),
        told=lambda alert: told.append(alert.alert_id),
        wait=waits.append,
    )
    assert told == [alert.alert_id for alert in found.opened]
    assert waits == sorted(waits)
    assert waits[-1] == ENDS_MS


def test_a_span_looks_at_the_rules_only_inside_it(day: Recording) -> None:
    wishes = Wishes(every_ms=EVERY_MS, from_ms=RUNS_OUT_MS + HOUR_MS)
    (found,) = rehearse(day, [Settings()], wishes)
    assert found.stock_outs == []
    assert all(alert.opened_at_ms > RUNS_OUT_MS + HOUR_MS for alert in found.opened)


def test_a_span_outside_of_the_recording_is_refused(day: Recording) -> None:
    with pytest.raises(RecordingError, match="nothing in that span"):
        rehearse(day, [Settings()], Wishes(from_ms=ENDS_MS + 1))


def test_a_feed_that_dies_is_told_of_where_heartbeats_tell_that_it_did(tmp_path: Path) -> None:
    died_ms = BEGIN_MS + 7 * HOUR_MS
    dying = selling_day(tmp_path / "dying", silent_from_ms=died_ms)
    (found,) = rehearse(dying, [Settings()], Wishes(every_ms=MINUTE_MS, from_ms=died_ms - HOUR_MS))
    assert found.listened
    silent = {alert.entity_id for alert in found.opened if alert.rule == "A-64"}
    assert silent == {"orders", "stock"}


def test_without_heartbeats_silence_is_no_events(tmp_path: Path) -> None:
    mute = selling_day(tmp_path / "mute", heartbeats=False)
    (found,) = rehearse(mute, [Settings()], Wishes(every_ms=EVERY_MS))
    assert not found.listened
    assert not [alert for alert in found.opened if alert.rule in {"A-64", "A-65"}]
    assert quiet(found)["A-65"] == (
        False,
        "the recording has no heartbeats: its silence is taken for no events",
    )


# --- what is laid over the day ------------------------------------------------------------------------------------


def test_a_goal_gives_the_goal_rules_something_to_look_at(day: Recording) -> None:
    # A third of a day whose hours nothing tells: by default A-41 waits for its evening.
    strict = Settings(rules=RuleSettings(goal_even_peak=1))
    (behind,) = rehearse(day, [strict], Wishes(every_ms=EVERY_MS, goal=10_000_000))
    assert "A-41" in {alert.rule for alert in behind.opened}
    # 240 dresses of 50.00 are 12,000.00.
    (reached,) = rehearse(day, [Settings()], Wishes(every_ms=EVERY_MS, goal=11_000))
    assert "A-42" in {alert.rule for alert in reached.opened}


def test_this_years_campaign_is_laid_on_the_recorded_day(day: Recording) -> None:
    answers = Answers(
        shop_id=SHOP_ID,
        name="Shop",
        timezone="Europe/London",
        currency="GBP",
        kafka="",
        campaign_id="friday",
        campaign="Friday",
        starts="2027-06-25",
        ends="2027-06-26",
        goal_metric="gmv",
        goal=11_000.0,
        required_topics=("orders",),
        routes={},
    )
    lines = reference_lines(answers, now_ms=1_800_000_000_000)
    records = tuple(parse_references(b"\n".join(lines), place="reference.jsonl"))
    (found,) = rehearse(day, [Settings()], Wishes(every_ms=EVERY_MS, records=records))
    (hit,) = [alert for alert in found.opened if alert.rule == "A-42"]
    assert hit.campaign_id == "friday"
    other = parse_references(b"\n".join(lines).replace(b'"s1"', b'"s2"'), place="reference.jsonl")
    with pytest.raises(SettingsError, match="s1"):
        rehearse(day, [Settings()], Wishes(records=tuple(other)))


def test_simulated_stocks_serve_the_orders_until_nothing_is_left(tmp_path: Path) -> None:
    bare = selling_day(tmp_path / "bare", stock=False)
    simulated = SimulatedStock(bare, 0.5, from_ms=BEGIN_MS, to_ms=ENDS_MS)
    lines = list(simulated.lines())
    orders = [line for line in lines if line.topic == "cm.orders"]
    levels = [json.loads(line.value or b"")["available"] for line in lines if line.topic == "cm.stock"]
    assert simulated.skus == 1
    assert len(orders) == STOCK // 2
    assert levels == list(range(STOCK // 2, -1, -1))
    assert [line.timestamp_ms for line in lines] == sorted(line.timestamp_ms for line in lines)


def test_simulated_stocks_make_the_stock_rules_possible_and_are_counted(tmp_path: Path) -> None:
    bare = selling_day(tmp_path / "bare", stock=False)
    (found,) = rehearse(bare, [Settings()], Wishes(every_ms=EVERY_MS, stock_share=0.8))
    assert found.simulated_skus == 1
    (out,) = found.stock_outs
    assert out.at_ms == SELLS_FROM_MS + (STOCK * 8 // 10 - 1) * MINUTE_MS
    assert out.warned_ms is not None


# --- what a person reads ------------------------------------------------------------------------------------------


def test_a_report_names_the_lead_and_what_could_not_fire(found: Rehearsal) -> None:
    lines = list(report_lines(found, "Europe/London"))
    lead = (RUNS_OUT_MS - found.pages[0].opened_at_ms) // MINUTE_MS
    assert lines[0].startswith("1 page (1.0 a day), 1 to a channel, ")
    assert f"  Tue 25 05:59 Linen dress: paged {lead} min before" in lines
    assert "Rules that never could fire:" in lines
    line = alert_line(found.pages[0])
    assert found.pages[0].route is AlertRoute.PAGE
    assert " page    A-01 Linen dress runs out ~" in line


def test_the_command_prints_every_page_and_the_change(day: Recording, tmp_path: Path) -> None:
    config = tmp_path / "warroom.toml"
    config.write_text("", encoding="utf-8")
    arguments = ["--config", str(config), "rehearse", str(day.folder), "--every", "600"]
    shown = CliRunner().invoke(main, [*arguments, "--set", "stock.page_min_sales=1000"])
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("Rehearsal of selling day: nothing is sent.")
    assert " A-01 Linen dress runs out" in lines[1]
    assert "With stock.page_min_sales=1000: 0 more, 1 fewer, 0 at another time" in lines
    as_json = CliRunner().invoke(main, [*arguments, "--json"])
    assert {alert["rule"] for alert in json.loads(as_json.stdout)["alerts"]} >= {"A-01", "A-02"}


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--set", "stock.page_led_ms=1"), "page_led_ms"),
        (("--set", "stock"), "'stock'"),
        (("--set", "stock.page_min_share=2"), "out of bounds"),
        (("--stock", "some"), "some"),
        (("--speed", "fast"), "fast"),
        (("--from", "noon"), "noon"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    day: Recording, tmp_path: Path, option: tuple[str, str], named: str
) -> None:
    config = tmp_path / "warroom.toml"
    config.write_text("", encoding="utf-8")
    done = CliRunner().invoke(main, ["--config", str(config), "rehearse", str(day.folder), *option])
    assert done.exit_code == 2
    assert named in done.stderr


def test_a_number_in_ms_may_be_named_in_hours() -> None:
    assert changed_settings(Settings(), ["stock.page_lead_hours=4"]).stock.page_lead_ms == 4 * HOUR_MS
    assert changed_settings(Settings(), ["stock.page_lead_ms=1"]).stock.page_lead_ms == 1
