"""Names and secrets of Kafka clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.clients import client_options, group_id, transactional_id
from streams.errors import SettingsError
from streams.settings import KafkaSettings


def test_a_replay_shares_neither_group_nor_transactions_with_the_live_cluster() -> None:
    live, replay = KafkaSettings(prefix="cm."), KafkaSettings(prefix="replay.friday.")
    assert group_id(live) != group_id(replay)
    assert transactional_id(live, 0) != transactional_id(replay, 0)


def test_every_partition_has_a_transactional_id_of_its_own() -> None:
    assert len({transactional_id(KafkaSettings(), partition) for partition in range(12)}) == 12


def test_several_brokers_are_taken_apart() -> None:
    assert client_options(KafkaSettings(bootstrap="a:1, b:2"))["bootstrap_servers"] == ["a:1", "b:2"]


def test_a_password_comes_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    options = client_options(
        KafkaSettings(
            security_protocol="SASL_PLAINTEXT",
            sasl_username="u",
            sasl_password_file=str(tmp_path / "password"),
        )
    )
    assert options["sasl_plain_password"] == "open sesame"
    assert options["sasl_mechanism"] == "PLAIN"


def test_a_missing_password_file_is_named_with_its_key() -> None:
    with pytest.raises(SettingsError, match=r"kafka\.sasl_password_file '/nowhere'"):
        client_options(KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_password_file="/nowhere"))


def test_a_certificate_that_cannot_be_read_is_named_with_its_key() -> None:
    with pytest.raises(SettingsError, match=r"kafka\.ca_file '/nowhere\.pem'"):
        client_options(KafkaSettings(security_protocol="SSL", ca_file="/nowhere.pem"))
