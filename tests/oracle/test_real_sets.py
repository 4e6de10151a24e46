"""On real sets, the answers of the query layer are those of an oracle that reads the raw files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replay.importers.online_retail import import_online_retail
from replay.importers.open_bandit import import_open_bandit
from tests.oracle import online_retail, open_bandit
from tests.oracle.asking import ask, columns_of, differences, raw_files, read_raw

if TYPE_CHECKING:
    import polars as pl

    from streams.columns import Columns

RETAIL = raw_files("online_retail_five_days.parquet", "uci_online_retail/online_retail_2009_2010.parquet")
BANDIT = raw_files("open_bandit_men_two_days.parquet", "open_bandit/impressions_men.parquet")

# A whole year of lines is imported and folded once per file: more than the default half minute.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", params=RETAIL, ids=lambda path: path.stem)
def retail(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pl.DataFrame, Columns]:
    path: Path = request.param
    folder = tmp_path_factory.mktemp("retail") / "recording"
    import_online_retail(path, folder)
    return read_raw(path), columns_of(folder)


@pytest.fixture(scope="module", params=BANDIT, ids=lambda path: path.stem)
def bandit(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pl.DataFrame, Columns]:
    path: Path = request.param
    folder = tmp_path_factory.mktemp("bandit") / "recording"
    import_open_bandit(path, folder)
    return read_raw(path), columns_of(folder)


GROUPINGS = [(), ("day",), ("hour",), ("product",), ("day", "product")]


@pytest.mark.parametrize("by", GROUPINGS, ids=lambda by: "+".join(by) or "all")
def test_sales_customers_and_refunds_of_online_retail_are_those_of_the_raw_lines(
    retail: tuple[pl.DataFrame, Columns], by: tuple[str, ...]
) -> None:
    raw, columns = retail
    faults = differences(ask(columns, online_retail.METRICS, by), online_retail.figures(raw, by), by)
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:20])


@pytest.mark.parametrize("by", ["day", "hour"])
def test_time_rows_of_online_retail_are_continuous_from_the_first_to_the_last_record(
    retail: tuple[pl.DataFrame, Columns], by: str
) -> None:
    raw, columns = retail
    rows = ask(columns, ("gmv", "orders"), (by,))
    assert [row[by] for row in rows] == online_retail.span(raw, by)
    assert all(row["gmv"] is not None and row["orders"] is not None for row in rows)


@pytest.mark.parametrize("by", GROUPINGS, ids=lambda by: "+".join(by) or "all")
def test_impressions_clicks_and_ctr_of_open_bandit_are_those_of_the_raw_rows(
    bandit: tuple[pl.DataFrame, Columns], by: tuple[str, ...]
) -> None:
    raw, columns = bandit
    faults = differences(ask(columns, open_bandit.METRICS, by), open_bandit.figures(raw, by), by)
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:20])


def test_open_bandit_has_no_users_and_so_no_people(bandit: tuple[pl.DataFrame, Columns]) -> None:
    _, columns = bandit
    (row,) = ask(columns, ("unique_product_impressions", "gmv"), ())
    assert row == {"unique_product_impressions": None, "gmv": None}
