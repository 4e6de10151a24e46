"""Import of the Open Bandit Dataset."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import polars as pl
import pytest

from replay.importers.open_bandit import import_open_bandit
from replay.recording import Recording
from streams.errors import RecordingError
from streams.events import ProductClick, ProductImpression


def table() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "campaign": ["men", "men", "women"],
            "policy": ["bts", "random", "bts"],
            "ts": [
                dt.datetime(2019, 11, 24, 0, 0, 1, 999_999, tzinfo=dt.UTC),
                dt.datetime(2019, 11, 24, 15, 0, 0, 0, tzinfo=dt.UTC),
                dt.datetime(2019, 11, 24, 3, 0, 0, 500, tzinfo=dt.UTC),
            ],
            "item_id": [2, 9, 2],
            "click": [0, 1, 0],
        }
    )


def imported(tmp_path: Path, rows: pl.DataFrame, limit: int | None = None) -> Recording:
    rows.write_parquet(tmp_path / "rows.parquet")
    import_open_bandit(tmp_path / "rows.parquet", tmp_path / "out", limit=limit)
    return Recording.open(tmp_path / "out")


def test_each_row_is_an_impression_and_each_click_also_a_click(tmp_path: Path) -> None:
    found = list(imported(tmp_path, table()).lines())
    assert [(line.topic, line.timestamp_ms % 86_400_000) for line in found] == [
        ("cm.impressions", 1_999),
        ("cm.impressions", 10_800_000),
        ("cm.impressions", 54_000_000),
        ("cm.clicks", 54_000_000),
    ]
    shown = [msgspec.json.decode(line.value or b"", type=ProductImpression) for line in found[:3]]
    assert [event.product_id for event in shown] == ["men-2", "women-2", "men-9"]
    clicked = msgspec.json.decode(found[3].value or b"", type=ProductClick)
    assert clicked.product_id == "men-9"
    assert clicked.occurred_at_ms == shown[2].occurred_at_ms
    assert len({msgspec.json.decode(line.value or b"")["event_id"] for line in found}) == 4


def test_no_person_is_made_up_and_the_campaign_is_kept(tmp_path: Path) -> None:
    line = next(imported(tmp_path, table()).lines())
    event = msgspec.json.decode(line.value or b"", type=ProductImpression)
    assert event.user_key is None
    assert line.key is None
    assert event.source is not None
    assert (event.source.owner, event.source.format, event.source.surface) == ("none", "other", "other")
    assert (event.source.campaign_id, event.source.sub_campaign_id) == ("men", "men-bts")


def test_a_file_as_published_has_its_campaign_and_policy_from_its_place(tmp_path: Path) -> None:
    # Header and first rows of obd/random/women/women.csv, with fewer features.
    published = (
        ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"
        "0,2019-11-24 00:00:01.036483+00:00,16,3,0,0.0217,81ce\n"
        "1,2019-11-24 00:00:02.000002+00:00,9,1,1,0.0217,81ce\n"
    )
    place = tmp_path / "random" / "women"
    place.mkdir(parents=True)
    for folder, arm in ((place, "women-random"), (tmp_path, "women")):
        (folder / "women.csv").write_text(published)
        import_open_bandit(folder / "women.csv", tmp_path / f"out-{arm}")
        found = list(Recording.open(tmp_path / f"out-{arm}").lines())
        assert [line.topic for line in found] == ["cm.impressions", "cm.impressions", "cm.clicks"]
        event = msgspec.json.decode(found[0].value or b"", type=ProductImpression)
        assert (event.product_id, event.occurred_at_ms) == ("women-16", 1_574_553_601_036)
        assert event.source is not None
        assert (event.source.campaign_id, event.source.sub_campaign_id) == ("women", arm)


def test_the_manifest_counts_rows_and_clicks(tmp_path: Path) -> None:
    recording = imported(tmp_path, table(), limit=2)
    assert recording.manifest.other["import"] == {
        "importer": "open_bandit",
        "file": "rows.parquet",
        "rows": 2,
        "impressions": 2,
        "clicks": 0,
    }
    assert recording.shops["zozotown"].timezone == "Asia/Tokyo"


def test_a_csv_with_text_times_gives_the_same_lines(tmp_path: Path) -> None:
    rows = (
        table()
        .with_columns(pl.col("ts").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").alias("timestamp"))
        .drop("ts")
    )
    rows.write_csv(tmp_path / "rows.csv")
    import_open_bandit(tmp_path / "rows.csv", tmp_path / "csv")
    assert list(Recording.open(tmp_path / "csv").lines()) == list(imported(tmp_path, table()).lines())


def test_a_click_that_is_neither_0_nor_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="row 1 lacks"):
        imported(tmp_path, table().with_columns(pl.lit(3).alias("click")))


def test_a_time_that_has_lost_its_offset_is_utc_as_published(tmp_path: Path) -> None:
    source = tmp_path / "random" / "men" / "men.csv"
    source.parent.mkdir(parents=True)
    source.write_text(
        "timestamp,item_id,position,click\n2019-11-24 00:00:01.036483,16,3,0\n2019-11-24 00:00:02+00:00,9,1,0\n"
    )
    import_open_bandit(source, tmp_path / "out")
    # 24 November 2019, 00:00 UTC.
    assert [line.timestamp_ms - 1_574_553_600_000 for line in Recording.open(tmp_path / "out").lines()] == [
        1_036,
        2_000,
    ]
