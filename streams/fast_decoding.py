"""Decode a whole batch of traffic at once with polars, or say that the authority must look at it.

`streams.decoding` decides what is valid; this path may only take a batch of which it can show that the authority would
take every record, with equal values. A batch of ordinary ASCII JSON is shown to be so by counting bytes:

- polars parses strictly: wrong types for numbers, booleans and objects, overflow, bad UTF-8, torn lines are errors;
- no backslash, so no escapes: a quote always begins or ends a string, and a key is what stands before `":`;
- no control character but the line feeds between records, no DEL, pure ASCII: ids can only be wrong in length;
- no `[`, and as many `{` as records and source blocks, so that no array or object hides in a cell of text;
- as many `":` as parsed cells, source blocks and nulls, so that no key is unknown or stands twice; each key with a null
  belongs to a cell that is null;
- as many `"` as those keys and the parsed cells of text need, so that no number stands where text belongs.

What cannot be shown (names in Chinese, unknown fields, tabs between tokens) is legal, and takes the slower way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.atoms import NO_SOURCE_ATOM
from streams.decoding import MAX_ID_CHARACTERS, MAX_TIME_MS
from streams.events import TRAFFIC_TYPES
from streams.traffic import ATOM_CODES

_OWNERS: Final = ("seller", "affiliate", "none")
_FORMATS: Final = ("live", "video", "product_card", "showcase", "other")
_SURFACES: Final = ("shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other")

_SOURCE_IDS: Final = ("account_id", "creator_id", "content_id", "sub_campaign_id", "campaign_id", "ad_id")
_SOURCE: Final = pl.Struct(
    {
        "owner": pl.String,
        "format": pl.String,
        "surface": pl.String,
        "is_paid": pl.Boolean,
        **dict.fromkeys(_SOURCE_IDS, pl.String),
    }
)
_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "event_id": pl.String,
    "event_type": pl.String,
    "shop_id": pl.String,
    "occurred_at_ms": pl.Int64,
    "product_id": pl.String,
    "user_key": pl.String,
    "source": _SOURCE,
    "territory": pl.String,
    "sku_id": pl.String,
    "quantity": pl.Int64,
    "currency": pl.String,
    "source_system": pl.String,
    "schema_version": pl.Int64,
    "ingested_at_ms": pl.Int64,
}
_REQUIRED: Final = ("event_id", "event_type", "shop_id", "occurred_at_ms", "product_id")
_IDS: Final = ("event_id", "shop_id", "product_id", "user_key", "territory", "sku_id", *_SOURCE_IDS)
_BOUNDS: Final = {
    "occurred_at_ms": (0, MAX_TIME_MS),
    "quantity": (1, 10**7),
    "schema_version": (1, 1_000_000),
    "ingested_at_ms": (0, MAX_TIME_MS),
}
"""Narrower than or equal to the bounds of `streams.events`; a test compares them."""

_NOT_NULLABLE: Final = frozenset({"schema_version", "source_system", "quantity"})
"""Optional fields that the authority refuses as an explicit null."""

_ATOM_TABLE: Final[NDArray[np.uint8]] = np.array(
    [
        ATOM_CODES[owner, content_format, surface]
        for owner in _OWNERS
        for content_format in _FORMATS
        for surface in _SURFACES
    ],
    dtype=np.uint8,
)
"""Atoms by place in the product of the three enumerations."""

_ENUMS: Final = {
    "event_type": pl.Enum(tuple(TRAFFIC_TYPES)),
    "source_system": pl.Enum(("storefront", "ads", "creator_payout", "inventory", "finance", "external")),
    "owner": pl.Enum(_OWNERS),
    "format": pl.Enum(_FORMATS),
    "surface": pl.Enum(_SURFACES),
}

_LENGTHS: Final = (
    pl.col(_IDS).str.len_bytes().max().name.suffix(">"),
    pl.col(_IDS).str.len_bytes().min().name.suffix("<"),
    pl.col("currency").str.len_bytes().max().alias("currency>"),
    pl.col("currency").str.len_bytes().min().alias("currency<"),
)

_TERRITORY: Final = pl.when(pl.col("event_type") == "product_impression").then(pl.col("territory"))
"""Only impressions have a territory; for the authority it is an unknown field of the others."""

_FRAME_COLUMNS: Final = (
    pl.int_range(pl.len(), dtype=pl.UInt32).alias("index"),
    pl.col("event_type"),
    pl.col("event_id"),
    pl.col("shop_id"),
    pl.col("currency"),
    pl.col("occurred_at_ms"),
    pl.col("user_key"),
    pl.lit(NO_SOURCE_ATOM, dtype=pl.UInt8).alias("atom"),
    pl.col("product_id").alias("product"),
    pl.col("content_id").alias("content"),
    pl.col("creator_id").alias("creator"),
    pl.col("sub_campaign_id").alias("sub_campaign"),
    _TERRITORY.alias("territory"),
)

_QUOTE, _COLON, _OPEN_BRACE, _SPACE, _N = b'":{ n'
_LINE_FEED: Final = 10
_CURRENCY_CHARACTERS: Final = 3
_CHUNK_BYTES: Final = 1 << 17
"""Counting goes in pieces that stay in the processor's cache; whole megabytes took twice as long (measured)."""


def decode_fast(values: list[bytes]) -> pl.DataFrame | None:
    """Decode traffic records into a frame of `traffic.FRAME_SCHEMA`, `index` counting from 0.

    Returns:
        None when the batch is not shown to be valid as a whole; nothing is known of its records then.
    """
    joined = b"\n".join(values)
    if not joined.isascii() or b"\\" in joined or b"[" in joined or b"\x7f" in joined:
        return None
    try:
        frame = pl.read_ndjson(joined, schema=_SCHEMA)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    if frame.height != len(values):
        return None
    # From here on `source` says whether a record has the block, and the block's fields stand beside it.
    flat = frame.unnest("source").with_columns(frame["source"].is_not_null())
    if not _counts_agree(joined, flat) or not _cells_are_valid(flat):
        return None
    atoms = _atoms(flat)
    if atoms is None:
        return None
    columns = flat.select(_FRAME_COLUMNS)
    return columns.replace_column(columns.get_column_index("atom"), pl.Series("atom", atoms))


def _counts_agree(joined: bytes, flat: pl.DataFrame) -> bool:
    """Compare the bytes that were read with the cells that came out (see the module)."""
    sources = int(flat["source"].sum())
    quotes, keys, nulls, control, braces = _count_bytes(joined)
    if control != flat.height - 1 or (len(nulls) and not _nulls_agree(joined, nulls, flat)):
        return False
    cells = texts = 0
    for column in flat.drop("source").iter_columns():
        present = flat.height - column.null_count()
        cells += present
        if column.dtype == pl.String:
            texts += present
    return (
        braces == flat.height + sources
        and keys == cells + sources + len(nulls)
        and quotes == 2 * keys + 2 * texts
    )


def _count_bytes(joined: bytes) -> tuple[int, int, NDArray[np.int64], int, int]:
    """Count quotes, `":` pairs, control characters and opening braces of valid JSON; find pairs before a null."""
    data = np.frombuffer(joined, dtype=np.uint8)
    quotes = keys = control = braces = 0
    nulls = []
    is_quote = np.empty(_CHUNK_BYTES, dtype=np.bool_)
    scratch = np.empty(_CHUNK_BYTES, dtype=np.bool_)
    for start in range(0, len(data), _CHUNK_BYTES):
        piece = data[start : start + _CHUNK_BYTES]
        quote, other = is_quote[: len(piece)], scratch[: len(piece)]
        np.equal(piece, _QUOTE, out=quote)
        quotes += int(np.count_nonzero(quote))
        np.less(piece, _SPACE, out=other)
        control += int(np.count_nonzero(other))
        np.equal(piece, _OPEN_BRACE, out=other)
        braces += int(np.count_nonzero(other))
        after = data[start + 1 : start + _CHUNK_BYTES + 1]
        np.equal(after, _COLON, out=other[: len(after)])
        pairs = start + np.flatnonzero(quote[: len(after)] & other[: len(after)])
        keys += len(pairs)
        # JSON that was parsed has a value after every key, so these places exist.
        value = data[pairs + 2]
        spaced = value == _SPACE
        value[spaced] = data[pairs[spaced] + 3]
        nulls.append(pairs[value == _N])
    return quotes, keys, np.concatenate(nulls), control, braces


def _nulls_agree(joined: bytes, nulls: NDArray[np.int64], flat: pl.DataFrame) -> bool:
    """Show that every key with a null belongs to a cell that is null: a second key of a given cell would not.

    Args:
        joined: the batch.
        nulls: places of the quote that ends such a key.
        flat: the cells.
    """
    data = np.frombuffer(joined, dtype=np.uint8)
    record_of = np.searchsorted(np.flatnonzero(data == _LINE_FEED), nulls)
    # The quote that opens a key of at most 15 characters stands at most 16 bytes before the one that ends it.
    names = data[np.maximum(nulls[:, np.newaxis] + np.arange(-16, 0), 0)]
    agreed = 0
    for column in flat.columns:
        wanted = np.frombuffer(b'"' + column.encode(), dtype=np.uint8)
        records = record_of[(names[:, -len(wanted) :] == wanted).all(axis=1)]
        if not len(records):
            continue
        is_null = ~flat[column] if column == "source" else flat[column].is_null()
        if column in _NOT_NULLABLE or not is_null.to_numpy()[records].all():
            return False
        agreed += len(records)
    return agreed == len(nulls)


def _cells_are_valid(flat: pl.DataFrame) -> bool:
    """Check required cells, lengths, bounds and enumerations."""
    if any(flat[name].null_count() for name in _REQUIRED):
        return False
    lengths = flat.select(_LENGTHS).row(0, named=True)
    if any(
        not 1 <= lengths[f"{name}<"] <= lengths[f"{name}>"] <= MAX_ID_CHARACTERS
        for name in _IDS
        if lengths[f"{name}<"] is not None
    ):
        return False
    if (
        lengths["currency<"] is not None
        and not lengths["currency<"] == lengths["currency>"] == _CURRENCY_CHARACTERS
    ):
        return False
    for name, (low, high) in _BOUNDS.items():
        column = flat[name]
        if column.null_count() < flat.height and not low <= _int(column.min()) <= _int(column.max()) <= high:
            return False
    return all(
        flat[name].cast(enum, strict=False).null_count() == flat[name].null_count()
        for name, enum in _ENUMS.items()
    )


def _atoms(flat: pl.DataFrame) -> NDArray[np.uint8] | None:
    """Return each record's atom, or None when a source block lacks a required or conditional field."""
    atoms = np.full(flat.height, NO_SOURCE_ATOM, dtype=np.uint8)
    rows = np.flatnonzero(flat["source"].to_numpy())
    if not len(rows):
        return atoms
    if any(
        flat[name].null_count() != flat.height - len(rows)
        for name in ("owner", "format", "surface", "is_paid")
    ):
        return None
    owner, content_format, surface = (_codes(flat[name], rows) for name in ("owner", "format", "surface"))
    paid = flat["is_paid"].to_numpy()[rows].astype(np.bool_)
    for name, needed in (
        ("account_id", owner != _OWNERS.index("none")),
        ("creator_id", owner == _OWNERS.index("affiliate")),
        ("content_id", content_format <= _FORMATS.index("video")),
        ("ad_id", paid),
    ):
        if flat[name].null_count() and (needed & flat[name].is_null().to_numpy()[rows]).any():
            return None
    atoms[rows] = _ATOM_TABLE[(owner * len(_FORMATS) + content_format) * len(_SURFACES) + surface]
    return atoms


def _codes(column: pl.Series, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of an enumeration's values in rows that have one."""
    return column.cast(_ENUMS[column.name]).to_physical().to_numpy()[rows].astype(np.int64)


def _int(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 -- min and max of a column of integers that is not all null
    return value
