"""`warroom init`: what it writes is what the real loader reads, and it never overwrites by accident."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.decoding import decode
from streams.events import Campaign, Product, Shop
from warroom.cli import main
from warroom.configuration import load

REQUIRED = ("--yes", "--shop", "my-shop", "--starts", "2026-11-27", "--ends", "2026-11-27")


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ("init", *arguments), input=typed)


def events() -> dict[str, object]:
    """Return key -> event of the written reference records, as a worker would decode them."""
    lines = [json.loads(line) for line in Path("reference.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["key"]: decode(json.dumps(line["value"]).encode()) for line in lines}


def test_options_alone_give_settings_that_the_loader_takes_and_records_that_count() -> None:
    done = run(*REQUIRED, "--goal", "50,000", "--timezone", "Europe/London", "--currency", "GBP")
    assert done.exit_code == 0, done.output
    shop = load(environment={}).shops["my-shop"]
    assert (shop.timezone, shop.currency, shop.required_topics) == ("Europe/London", "GBP", ("orders",))
    campaign = events()["campaign"]
    assert isinstance(campaign, Campaign)
    # 27 November 2026 in London, winter time: 00:00Z of that day to 00:00Z of the next.
    assert (campaign.starts_at_ms, campaign.ends_at_ms) == (1_795_737_600_000, 1_795_824_000_000)
    assert (campaign.target_metric, campaign.target_value) == ("gmv", 50_000)
    assert isinstance(events()["my-shop"], Shop)


def test_a_product_list_becomes_cards_and_the_campaigns_products(tmp_path: Path) -> None:
    csv = 'product_id,name,price,sku_ids,unit_cost\nA1,"Dress, linen",49.90,A1-S A1-M,20\nB2,Hat,12,,\n'
    (tmp_path / "list.csv").write_text(csv, encoding="utf-8")
    assert run(*REQUIRED, "--products", "list.csv").exit_code == 0
    found = events()
    dress, hat, campaign = found["A1"], found["B2"], found["campaign"]
    assert isinstance(dress, Product)
    assert isinstance(hat, Product)
    assert isinstance(campaign, Campaign)
    assert (dress.name, dress.sku_ids, dress.price_minor, dress.unit_cost_minor) == (
        "Dress, linen",
        ["A1-S", "A1-M"],
        4990,
        2000,
    )
    assert (hat.sku_ids, hat.price_minor, hat.unit_cost_minor) == (["B2"], 1200, None)
    assert campaign.product_ids == ["A1", "B2"]


def test_nothing_is_overwritten_without_force() -> None:
    Path("warroom.toml").write_text("# mine\n", encoding="utf-8")
    done = run(*REQUIRED)
    assert done.exit_code == 2
    assert "warroom.toml is there already" in done.stderr
    assert Path("warroom.toml").read_text(encoding="utf-8") == "# mine\n"
    assert run(*REQUIRED, "--force").exit_code == 0
    assert "my-shop" in Path("warroom.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("--timezone", "Mars/Phobos"), "Mars/Phobos"),
        (("--currency", "usd"), "usd"),
        (("--ends", "2026-11-26"), "before it starts"),
        (("--goal", "lots"), "lots"),
        (("--shop", "two\nlines"), "control character"),
        (("--route", "slack=missing-file"), "missing-file"),
        (("--route", "pigeon=x"), "pigeon"),
    ],
)
def test_a_wrong_answer_is_named_and_leaves_what_was_there(wrong: tuple[str, ...], named: str) -> None:
    assert run(*REQUIRED).exit_code == 0
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    done = run(*REQUIRED, "--force", *wrong)
    assert done.exit_code == 2, done.output
    assert named.replace("\n", "\\n") in done.stderr
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_what_has_no_default_must_be_given_when_nothing_may_be_asked() -> None:
    done = run("--yes", "--shop", "s")
    assert done.exit_code == 2
    assert "--starts is missing" in done.stderr


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_a_typed_secret_goes_into_a_file_of_its_own_that_only_its_owner_reads() -> None:
    answers = [
        "my.shop",
        "",
        "",
        "",
        "",
        'Black "Friday"',
        "2026-11-27",
        "2026-11-28T10:00",
        "",
        "40000",
        "",
        "",
    ]
    done = run(typed="\n".join([*answers, "https://hooks.example/secret", *[""] * 5]))
    assert done.exit_code == 0, done.output
    text = Path("warroom.toml").read_text(encoding="utf-8")
    file = Path(tomllib.loads(text)["notify"]["slack_webhook_file"])
    assert file.read_text(encoding="utf-8").strip() == "https://hooks.example/secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in text.replace("# Secrets", "")
    assert "hooks.example" not in done.output
    assert isinstance(events()["black-friday"], Campaign)
