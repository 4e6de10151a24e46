"""Every view goes into a file of every form, with the rows and columns that it has on the screen."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl
import pytest

from streams.export import write_export
from streams.export_views import answer_export, read_export
from streams.view import Parameter
from streams.views import VIEWS
from tests.features.history import SHOP
from tests.features.world import DAY, END_MS

if TYPE_CHECKING:
    from tests.features.world import World


def words_of(view: str) -> dict[str, str]:
    needed: tuple[Parameter, ...] = VIEWS[view].parameters
    window = VIEWS[view].window if VIEWS[view].limits.whole_weeks else f"day:{DAY}"
    return {
        "view": view,
        "shop": SHOP,
        "window": window,
        **{each.name: "linen-wrap-dress" for each in needed if each.required},
    }


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_goes_into_every_form_of_file(world: World, view: str) -> None:
    made = {}
    for form in ("csv", "parquet", "json"):
        tables, _ = answer_export(
            world.columns, read_export({**words_of(view), "format": form}, {}), now_ms=END_MS
        )
        file = io.BytesIO()
        write_export(tables, read_export({**words_of(view), "format": form}, {}).form, file)
        made[form] = file.getvalue()
    flat = pl.read_csv(io.BytesIO(made["csv"]), infer_schema=False)
    typed = pl.read_parquet(io.BytesIO(made["parquet"]))
    assert flat.columns == typed.columns
    assert flat.height == typed.height
    assert made["json"]
