"""Import the Open Bandit Dataset: impressions and clicks of the fashion shop ZOZOTOWN.

How a row of the file becomes events:

- Each row is one `product_impression`; `click` = 1 is also one `product_click` at the same time (the data set does not
  record the time of the click). Times are rounded down to the millisecond.
- Product: `<campaign>-<item_id>`, for item numbers belong to their campaign.
- The file has hashed features of visitors but no visitor, so there is no `user_key`: events count, people do not.
- The source block says what is known and no more: owner `none`, format and surface `other` (atom `other`, the same as
  without a block), `campaign_id` the campaign and `sub_campaign_id` `<campaign>-<policy>`, which keeps the real A/B
  of the two policies apart. Without a block the campaign would be lost.
- As published, a file lies in `<policy>/<campaign>/` and has no columns for either; then its place says what they are.
- Position, propensity and features have no place on our wire and are left out.

The shop's zone is Asia/Tokyo: the file is in UTC (`+00:00`) and its quiet hours are 4 to 6 in the morning there. A time
that has lost its offset on the way is read as UTC too, as it was published.

Source: spec/events.md; README of the data set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from replay.importers.foreign import between_days, instants_ms, read_table
from replay.manifest import Manifest
from replay.writing import Compression, RecordingWriter
from streams.errors import RecordingError
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from pathlib import Path

SHOP_ID: Final = "zozotown"
TIMEZONE: Final = "Asia/Tokyo"
CURRENCY: Final = "JPY"
SOURCE: Final = "Open Bandit Dataset (small, of obp 0.4.1), ZOZO Research: Saito et al., arXiv:2008.07146"
LICENCE: Final = "Apache-2.0 (package obp); the paper names CC BY 4.0 for the data"

_COLUMNS: Final = {
    "campaign": ("campaign",),
    "policy": ("policy", "behavior_policy"),
    "time": ("ts", "timestamp"),
    "item": ("item_id",),
    "click": ("click",),
}
_POLICIES: Final = ("bts", "random")


def import_open_bandit(
    source: Path,
    out: Path,
    *,
    from_day: str | None = None,
    to_day: str | None = None,
    limit: int | None = None,
    name: str = "",
    compression: Compression = "zst",
) -> Manifest:
    """Turn an Open Bandit file into a recording.

    Args:
        source: .csv or .parquet with ts (or timestamp), item_id, click, and campaign and policy where they are known.
        out: folder of the recording, made by this.
        from_day: first day in Tokyo, such as 2019-11-25; None is the first of the file.
        to_day: last day, included.
        limit: at most this many rows, the earliest ones.
        name: of the recording; made from the file's name when empty.
        compression: of its parts.

    Returns:
        The manifest; `import` in it counts rows and clicks.

    Raises:
        RecordingError: the file cannot be read or a cell is not what its column must hold.
    """
    table = between_days(_read(source), from_day, to_day, timezone=TIMEZONE).sort("at_ms", "row")
    if limit is not None:
        table = table.head(limit)
    manifest = Manifest(
        name=name or f"Open Bandit, {source.stem}",
        shops={SHOP_ID: ShopSettings(SHOP_ID, TIMEZONE, CURRENCY, required_topics=("impressions",))},
        source=SOURCE,
        licence=LICENCE,
        other={
            "import": {
                "importer": "open_bandit",
                "file": source.name,
                "rows": table.height,
                "impressions": table.height,
                "clicks": int(table["click"].sum()),
            }
        },
    )
    with RecordingWriter(out, manifest, compression=compression) as writer:
        for row in table.iter_rows(named=True):
            _write(
                writer, row["campaign"], row["policy"], row["item"], row["at_ms"], row["row"], row["click"]
            )
    return writer.manifest


def _write(
    writer: RecordingWriter, campaign: str, policy: str | None, item: str, at_ms: int, row: int, clicks: int
) -> None:
    arm = f"{campaign}-{policy}" if policy else campaign
    event = {
        "event_id": f"obd-{arm}-{row}",
        "event_type": "product_impression",
        "shop_id": SHOP_ID,
        "occurred_at_ms": at_ms,
        "product_id": f"{campaign}-{item}",
        "source": {
            "owner": "none",
            "format": "other",
            "surface": "other",
            "is_paid": False,
            "campaign_id": campaign,
            "sub_campaign_id": arm,
        },
    }
    writer.write("cm.impressions", None, at_ms, msgspec.json.encode(event))
    if clicks:
        click = {**event, "event_id": f"{event['event_id']}-click", "event_type": "product_click"}
        writer.write("cm.clicks", None, at_ms, msgspec.json.encode(click))


def _read(source: Path) -> pl.DataFrame:
    """Read the file: campaign, policy, item as text, click 0 or 1, at_ms, row (its number in the file)."""
    table = read_table(source, _COLUMNS, optional=frozenset({"campaign", "policy"}))
    policy, campaign = _place(source)
    if table["campaign"].null_count() == table.height:
        table = table.with_columns(
            pl.lit(campaign).alias("campaign"), pl.coalesce("policy", pl.lit(policy, dtype=pl.String))
        )
    try:
        table = table.with_columns(
            pl.col("campaign", "policy", "item").cast(pl.String), pl.col("click").cast(pl.Int64)
        )
    except pl.exceptions.PolarsError as error:
        what = f"{source}: a cell of click is no number: {error}."
        raise RecordingError(what) from error
    wrong = table.with_row_index("row").filter(
        ~pl.col("click").is_in([0, 1]).fill_null(value=False)
        | pl.col("campaign").is_null()
        | pl.col("item").is_null()
    )
    if wrong.height:
        what = (
            f"{source}: row {wrong['row'][0] + 1} lacks campaign or item_id, or its click is neither 0 nor 1."
        )
        raise RecordingError(what)
    return table.with_columns(
        instants_ms(table["time"], timezone="UTC", path=source), pl.int_range(pl.len()).alias("row")
    )


def _place(source: Path) -> tuple[str | None, str]:
    """Return the policy and the campaign that a file's place names; another folder names no policy."""
    policy = source.absolute().parent.parent.name
    return policy if policy in _POLICIES else None, source.name.partition(".")[0]
