"""Decode a whole batch of traffic at once with polars, or say that the authority must look at it.

`streams.decoding` decides what is valid; this path may only take a batch of which it can show that the authority would
take every record, with equal values. A batch of ordinary ASCII JSON is shown to be so by counting bytes:

- polars parses strictly: wrong types for numbers, booleans and objects, overflow, bad UTF-8, torn lines are errors;
- no backslash, so no escapes: a quote always begins or ends a string, and a key is what stands before `":`;
- no control character but the line feeds between records, no DEL, pure ASCII: ids can only be wrong in length;
- no `[`, and as many `{` as records and source blocks, so that no array or object hides in a cell of text;
- as many `":` as parsed cells, source blocks and nulls, so that no key is unknown or stands twice;
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
from streams.traffic import ATOM_CODES, FRAME_SCHEMA

_OWNERS: Final = ("seller", "affiliate", "none")
_FORMATS: Final = ("live", "video", "product_card", "showcase", "other")
_SURFACES: Final = ("shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other")
_SYSTEMS: Final = ("storefront", "ads", "creator_payout", "inventory", "finance", "external")

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

_NOT_NULLABLE: Final = ("schema_version", "source_system", "quantity")
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

_QUOTE, _COLON, _OPEN_BRACE, _SPACE = b'":{ '
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
    has_source = frame["source"].is_not_null()
    sources = int(has_source.sum())
    flat = frame.unnest("source")
    if not _counts_agree(joined, flat, sources) or not _cells_are_valid(flat):
        return None
    atoms = _atoms(flat, has_source, sources)
    if atoms is None:
        return None
    return _frame(flat, atoms)


def _counts_agree(joined: bytes, flat: pl.DataFrame, sources: int) -> bool:
    """Compare the bytes that were read with the cells that came out (see the module)."""
    quotes, keys, control, braces = _count_bytes(joined)
    nulls = joined.count(b'":null') + joined.count(b'": null')
    if nulls and any(
        f'"{name}":{space}null'.encode() in joined for name in _NOT_NULLABLE for space in ("", " ")
    ):
        return False
    cells = texts = 0
    for column in flat.iter_columns():
        present = flat.height - column.null_count()
        cells += present
        if column.dtype == pl.String:
            texts += present
    return (
        control == flat.height - 1
        and braces == flat.height + sources
        and keys == cells + sources + nulls
        and quotes == 2 * keys + 2 * texts
    )


def _count_bytes(joined: bytes) -> tuple[int, int, int, int]:
    """Count quotes, `":` pairs, control characters and opening braces."""
    data = np.frombuffer(joined, dtype=np.uint8)
    quotes = keys = control = braces = 0
    is_quote = np.empty(_CHUNK_BYTES, dtype=np.bool_)
    scratch = np.empty(_CHUNK_BYTES, dtype=np.bool_)
    open_quote = False  # the last byte of the piece before, for a pair that is cut in two
    for start in range(0, len(data), _CHUNK_BYTES):
        piece = data[start : start + _CHUNK_BYTES]
        size = len(piece)
        quote, other = is_quote[:size], scratch[:size]
        np.equal(piece, _QUOTE, out=quote)
        quotes += int(np.count_nonzero(quote))
        np.equal(piece, _COLON, out=other)
        keys += int(open_quote and bool(other[0]))
        np.logical_and(quote[:-1], other[1:], out=other[1:])
        keys += int(np.count_nonzero(other[1:]))
        open_quote = bool(quote[-1])
        np.less(piece, _SPACE, out=other)
        control += int(np.count_nonzero(other))
        np.equal(piece, _OPEN_BRACE, out=other)
        braces += int(np.count_nonzero(other))
    return quotes, keys, control, braces


def _cells_are_valid(flat: pl.DataFrame) -> bool:
    """Check required cells, lengths, bounds and the enumerations of the envelope."""
    if any(flat[name].null_count() for name in _REQUIRED):
        return False
    present = [name for name in _IDS if flat[name].null_count() < flat.height]
    lengths = flat.select(
        *(pl.col(name).str.len_bytes().min().alias(f"{name}<") for name in present),
        *(pl.col(name).str.len_bytes().max().alias(f"{name}>") for name in present),
    ).row(0)
    if min(lengths) < 1 or max(lengths) > MAX_ID_CHARACTERS:
        return False
    for name, (low, high) in _BOUNDS.items():
        column = flat[name]
        if column.null_count() < flat.height and not low <= _int(column.min()) <= _int(column.max()) <= high:
            return False
    currency = flat["currency"]
    if currency.null_count() < flat.height and not bool((currency.str.len_bytes() == 3).all()):
        return False
    return all(
        _codes(flat[name], allowed) is not None
        for name, allowed in (("event_type", tuple(TRAFFIC_TYPES)), ("source_system", _SYSTEMS))
    )


def _atoms(flat: pl.DataFrame, has_source: pl.Series, sources: int) -> NDArray[np.uint8] | None:
    """Check the source blocks, conditional fields included, and return each record's atom."""
    atoms = np.full(flat.height, NO_SOURCE_ATOM, dtype=np.uint8)
    if not sources:
        return atoms
    if any(
        flat[name].null_count() != flat.height - sources for name in ("owner", "format", "surface", "is_paid")
    ):
        return None
    owner = _codes(flat["owner"], _OWNERS)
    content_format = _codes(flat["format"], _FORMATS)
    surface = _codes(flat["surface"], _SURFACES)
    if owner is None or content_format is None or surface is None:
        return None
    mask = has_source.to_numpy()
    lacks = {
        name: flat[name].is_null().to_numpy() for name in ("account_id", "creator_id", "content_id", "ad_id")
    }
    paid = flat["is_paid"].fill_null(value=False).to_numpy()
    faults = (
        (lacks["account_id"] & (owner != 2))
        | (lacks["creator_id"] & (owner == 1))
        | (lacks["content_id"] & (content_format < 2))
        | (lacks["ad_id"] & paid)
    )
    if bool((faults & mask).any()):
        return None
    places = (owner * len(_FORMATS) + content_format) * len(_SURFACES) + surface
    atoms[mask] = _ATOM_TABLE[places[mask]]
    return atoms


def _codes(column: pl.Series, allowed: tuple[str, ...]) -> NDArray[np.int64] | None:
    """Return each cell's place among the allowed values (0 for null), or None when one is not among them."""
    codes = column.cast(pl.Enum(allowed), strict=False).to_physical()
    if codes.null_count() != column.null_count():
        return None
    return codes.fill_null(0).to_numpy().astype(np.int64)


def _frame(flat: pl.DataFrame, atoms: NDArray[np.uint8]) -> pl.DataFrame:
    territory = pl.col("territory")
    return flat.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("index"),
        "event_type",
        "event_id",
        "shop_id",
        "currency",
        "occurred_at_ms",
        "user_key",
        pl.Series("atom", atoms),
        pl.col("product_id").alias("product"),
        pl.col("content_id").alias("content"),
        pl.col("creator_id").alias("creator"),
        pl.col("sub_campaign_id").alias("sub_campaign"),
        # Only impressions have a territory; for the authority it is an unknown field of the others.
        pl.when(pl.col("event_type") == "product_impression").then(territory).alias("territory"),
    ).match_to_schema(FRAME_SCHEMA)


def _int(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 -- min and max of a column of integers that is not all null
    return value
