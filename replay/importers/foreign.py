"""What importers share: reading a foreign table, its times, its days."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import polars as pl

from streams.days import parse_day
from streams.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_AMERICAN: Final = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")


def read_table(
    path: Path, columns: Mapping[str, tuple[str, ...]], *, optional: frozenset[str]
) -> pl.DataFrame:
    """Read a CSV or Parquet file and return its columns under our names, in the order of its rows.

    Cells of a CSV stay text; the caller says what they are. Nothing is stripped: a real id may end in a space.

    Args:
        path: ends in .csv, .csv.gz or .parquet.
        columns: our name -> the names that it has in known editions of the file.
        optional: our names that may be missing; they come as nulls.

    Raises:
        RecordingError: the file cannot be read, or lacks a column.
    """
    try:
        if path.name.endswith(".parquet"):
            table = pl.read_parquet(path)
        elif path.name.endswith((".csv", ".csv.gz")):
            table = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy")
        else:
            what = f"{path} is neither .csv nor .parquet."
            raise RecordingError(what)
    except (OSError, pl.exceptions.PolarsError) as error:
        what = f"{path} cannot be read: {error}."
        raise RecordingError(what) from error
    chosen: list[pl.Expr] = []
    for ours, theirs in columns.items():
        found = next((name for name in theirs if name in table.columns), None)
        if found is not None:
            chosen.append(pl.col(found).alias(ours))
        elif ours in optional:
            chosen.append(pl.lit(None, dtype=pl.String).alias(ours))
        else:
            what = f"{path} has no column {' or '.join(theirs)}; it has {', '.join(table.columns)}."
            raise RecordingError(what)
    return table.select(chosen)


def instants_ms(times: pl.Series, *, timezone: str, path: Path) -> pl.Series:
    """Return instants in ms since the epoch, rounded down.

    Takes RFC 3339 and other ISO 8601 text, `12/1/2010 8:26` (month first) and datetime columns. A time without an
    offset is local time of `timezone`; the repeated hour of a clock change is its first passing.

    Raises:
        RecordingError: a cell is empty or no time; the message names the row.
    """
    zone = ZoneInfo(timezone)
    distinct = times.unique()
    known = {value: _instant_ms(value, zone) for value in distinct.to_list()}
    broken = {value for value, at_ms in known.items() if at_ms is None}
    if broken:
        row = next(index for index, value in enumerate(times.to_list()) if value in broken)
        what = f"{path}: row {row + 1} has no time but {times[row]!r}."
        raise RecordingError(what, mend="Times are RFC 3339, 2010-12-01 08:26:00 or 12/1/2010 8:26.")
    lookup = pl.Series([known[value] for value in distinct.to_list()], dtype=pl.Int64)
    return times.replace_strict(distinct, lookup, return_dtype=pl.Int64).alias("at_ms")


def days_of(at_ms: pl.Series, *, timezone: str) -> pl.Series:
    """Return the local date of each instant."""
    return (
        pl.from_epoch(at_ms, time_unit="ms")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(timezone)
        .dt.date()
    )


def between_days(
    table: pl.DataFrame, from_day: str | None, to_day: str | None, *, timezone: str
) -> pl.DataFrame:
    """Return the rows whose `at_ms` lies in a span of local days, both ends included.

    Raises:
        RecordingError: a bound is no date.
    """
    days = days_of(table["at_ms"], timezone=timezone)
    for bound, keep in ((from_day, pl.Series.__ge__), (to_day, pl.Series.__le__)):
        if bound is not None:
            mask = keep(days, _date(bound))
            table, days = table.filter(mask), days.filter(mask)
    return table


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromordinal(parse_day(text))
    except ValueError:
        what = f"{text!r} is no date."
        raise RecordingError(what, mend="Write it as 2010-11-22.") from None


def _instant_ms(value: object, zone: ZoneInfo) -> int | None:
    at = value if isinstance(value, dt.datetime) else _parsed(value)
    if at is None:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    # Integer arithmetic: the float of datetime.timestamp() can lose the last microsecond and with it a millisecond.
    since = at.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return since // dt.timedelta(milliseconds=1)


def _parsed(value: object) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return dt.datetime.fromisoformat(value.strip())
    except ValueError:
        pass
    for form in _AMERICAN:
        try:
            return dt.datetime.strptime(value.strip(), form)  # noqa: DTZ007  # the zone is the caller's
        except ValueError:
            continue
    return None
