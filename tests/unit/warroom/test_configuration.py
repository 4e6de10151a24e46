"""Settings say what is wrong, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import SettingsError
from warroom.configuration import for_replay, load


def loaded(tmp_path: Path, text: str, **environment: str) -> object:
    path = tmp_path / "warroom.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environment=environment)


def test_without_file_and_environment_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(environment={})
    assert settings.kafka.prefix == "cm."
    assert settings.board.host == "127.0.0.1"
    assert settings.shops == {}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "warroom.toml"
    path.write_text("[kafka]\npartitions = 8\napp = 'a'\n")
    settings = load(path, environment={"WARROOM_KAFKA_PARTITIONS": "2"})
    assert (settings.kafka.partitions, settings.kafka.app) == (2, "a")


def test_a_shop_has_its_zone_and_currency(tmp_path: Path) -> None:
    path = tmp_path / "warroom.toml"
    path.write_text('[shops.s1]\ntimezone = "Europe/London"\ncurrency = "GBP"\n')
    shop = load(path, environment={}).shops["s1"]
    assert (shop.shop_id, shop.timezone, shop.currency) == ("s1", "Europe/London", "GBP")


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("[kafak]\n", {}, ("kafak", "Did you mean 'kafka'?")),
        ("[kafka]\npartition = 3\n", {}, ("kafka.partition", "Did you mean 'partitions'?")),
        ("[kafka]\npartitions = 0\n", {}, ("kafka.partitions = 0", "from 1 to 256")),
        ("[kafka]\npartitions = 'many'\n", {}, ("kafka.partitions = 'many'", "of that type")),
        ("[kafka]\nprefix = 'cm'\n", {}, ("'cm'", "end in a dot")),
        ("[kafka]\nprefix = 'replay.'\n", {}, ("'replay.'", "belongs to replays", "--replay")),
        ("", {"WARROOM_KAFKA_PREFIX": "replay.friday."}, ("'replay.friday.'", "belongs to replays")),
        ("[shops.s1]\ntimezone = 'Mars/Base'\n", {}, ("[shops.s1]", "'Mars/Base'", "Europe/London")),
        ("[shops.s1]\ncurrency = 'pounds'\n", {}, ("'pounds'", "ISO 4217")),
        ("[board]\nhost = '0.0.0.0'\n", {}, ("'0.0.0.0'", "token_file")),
        ("[board]\ntoken_file = 'nowhere'\n", {}, ("board.token_file = 'nowhere'", "No such file")),
        ("", {"WARROOM_BOARD_PORT": "99999"}, ("WARROOM_BOARD_PORT (environment) = 99999", "65535")),
        (
            "",
            {"WARROOM_BOARD_PROT": "1"},
            ("WARROOM_BOARD_PROT (environment)", "Did you mean WARROOM_BOARD_PORT?"),
        ),
        (
            "",
            {"WARROOM_KAFAK_APP": "a"},
            ("WARROOM_KAFAK_APP (environment)", "Did you mean WARROOM_KAFKA_APP?"),
        ),
        ("", {"WARROOM_CONFG": "x"}, ("WARROOM_CONFG (environment)", "Did you mean WARROOM_CONFIG?")),
        ("", {"WARROOM_BOARD": "x"}, ("WARROOM_BOARD (environment)", "docs/STATE.md", "unset it")),
        ("kafka = [", {}, ("warroom.toml", "cannot be read")),
        ("[rules]\noff = ['A-067']\n", {}, ("rules.off names 'A-067'", "Known: A-01")),
        ("[rules.hold_ms]\nA-1 = 5\n", {}, ("rules.hold_ms names 'A-1'", "A-01")),
        ("[rules.clear_ms]\nA-01 = -5\n", {}, ("rules.clear_ms.A-01 = -5", "at least 0")),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_its_mend(
    tmp_path: Path, text: str, environment: dict[str, str], said: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text, **environment)
    for words in said:
        assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_variable_that_is_no_setting_does_not_show_its_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, "", WARROOM_BOARD_TOKEN="correct horse")
    assert "WARROOM_BOARD_TOKEN_FILE" in str(caught.value)
    assert "correct horse" not in str(caught.value)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "no.toml", environment={})


def test_a_replay_lives_under_its_own_prefix() -> None:
    settings = for_replay(load(environment={}), "friday")
    assert (settings.kafka.prefix, settings.replay_id) == ("replay.friday.", "friday")


def test_a_shop_has_goals_of_weeks_quarters_and_campaigns(tmp_path: Path) -> None:
    path = tmp_path / "warroom.toml"
    path.write_text(
        '[goals.s1]\nweek = 20000\nquarter = 9e5\nquarter_metric = "orders"\n[goals.s1.campaigns]\nbf = 50000\n'
    )
    goals = load(path, environment={}).goals["s1"]
    assert (goals.week, goals.week_metric, goals.quarter, goals.quarter_metric) == (
        20_000,
        "gmv",
        9e5,
        "orders",
    )
    assert goals.campaigns == {"bf": 50_000}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[goals]\nweek = 5\n", "Write a table per shop"),
        ("[goals.s1]\nweak = 5\n", "Did you mean 'week'?"),
        ("[goals.s1]\nweek = -1\n", "goals.s1.week = -1 is out of bounds"),
        ("[goals.s1]\nquarter = inf\n", "goals.s1.quarter = inf is out of bounds"),
        ('[goals.s1]\nweek_metric = "smiles"\n', "goals.s1.week_metric"),
        ("[goals.s1.campaigns]\nbf = -5\n", "goals.s1.campaigns.bf = -5.0 is out of bounds"),
    ],
)
def test_a_goal_that_is_none_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "warroom.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(path, environment={})
    assert said in str(refused.value)
