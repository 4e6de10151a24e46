"""The manifest of a recording: what was recorded, of which shops, from where and under which licence.

Source: spec/README.md, "A recording is a folder with `manifest.json` and ...".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from streams.errors import RecordingError
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST_NAME: Final = "manifest.json"
FORMAT_VERSION: Final = 1

_KNOWN: Final = frozenset(
    {
        "format_version",
        "name",
        "shop_id",
        "timezone",
        "currency",
        "shops",
        "starts_at_ms",
        "ends_at_ms",
        "topics",
        "source",
        "licence",
    }
)
_SHOP_REQUIRED: Final = ("shop_id", "timezone", "currency")
_SHOP_KEYS: Final = ("name", "gmv_includes_shipping", "stock_feed", "required_topics")


@dataclass(frozen=True, slots=True)
class TopicCount:
    """What a manifest says that a topic holds; None where it says nothing.

    Attributes:
        records: lines that name the topic.
        size: bytes of their values, as they are sent.
    """

    records: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, checked.

    Attributes:
        name: of the recording, for people.
        shops: settings by shop id; `warroom.toml` wins over them.
        starts_at_ms, ends_at_ms: first and last record timestamp; 0 where the manifest does not say.
        topics: by the name that lines carry, for example `cm.orders`.
        source, licence: where the data come from and on what terms they may be passed on.
        other: every other key, kept as it is.
    """

    name: str
    shops: dict[str, ShopSettings]
    starts_at_ms: int = 0
    ends_at_ms: int = 0
    topics: dict[str, TopicCount] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    other: dict[str, object] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Return whether the recording was made up; such a one is labelled wherever it is shown."""
        return self.other.get("synthetic") is True

    def document(self) -> dict[str, object]:
        """Return the manifest as it stands in `manifest.json`."""
        shops = [_shop_document(shop) for shop in self.shops.values()]
        head: dict[str, object] = {"format_version": FORMAT_VERSION, "name": self.name}
        if len(shops) == 1 and set(shops[0]) <= set(_SHOP_REQUIRED):
            head.update(shops[0])
        else:
            head["shops"] = shops
        return {
            **head,
            "starts_at_ms": self.starts_at_ms,
            "ends_at_ms": self.ends_at_ms,
            "topics": {
                name: {"records": count.records or 0, "bytes": count.size or 0}
                for name, count in sorted(self.topics.items())
            },
            "source": self.source,
            "licence": self.licence,
            **self.other,
        }


def read_manifest(folder: Path, known: Mapping[str, ShopSettings]) -> Manifest:
    """Read and check `manifest.json` of a recording's folder.

    Args:
        folder: of the recording.
        known: shops of the settings: zone and currency of one of them need not stand in the manifest.

    Raises:
        RecordingError: it is missing, is no JSON object, or lacks a shop, or its zone or currency that is not known.
    """
    path = folder / MANIFEST_NAME
    try:
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        what = f"{folder} is no recording: it has no {MANIFEST_NAME}."
        raise RecordingError(
            what, mend="Name a folder that a recorder, importer or generator wrote."
        ) from None
    except (OSError, ValueError) as error:
        what = f"{path} cannot be read: {error}."
        raise RecordingError(what) from error
    if not isinstance(loaded, dict):
        what = f"{path} must hold one JSON object."
        raise RecordingError(what)
    return _checked(loaded, path, folder, known)


def _checked(
    document: dict[str, object], path: Path, folder: Path, known: Mapping[str, ShopSettings]
) -> Manifest:
    version = document.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        what = f"{path}: format_version is {version!r}, this version reads {FORMAT_VERSION}."
        raise RecordingError(what, mend="Read it with the version that wrote it.")
    shops = document.get("shops")
    listed = shops if isinstance(shops, list) else [{**document, "name": ""}]
    settings = [_shop(shop, path, known) for shop in listed]
    if not settings:
        what = f"{path}: `shops` is empty."
        raise RecordingError(what, mend="Give each shop's shop_id, timezone and currency.")
    return Manifest(
        name=str(document.get("name") or folder.name),
        shops={shop.shop_id: shop for shop in settings},
        starts_at_ms=_instant(document, "starts_at_ms", path),
        ends_at_ms=_instant(document, "ends_at_ms", path),
        topics=_topics(document.get("topics"), path),
        source=str(document.get("source") or ""),
        licence=str(document.get("licence") or ""),
        other={key: value for key, value in document.items() if key not in _KNOWN},
    )


def _shop(entry: object, path: Path, known: Mapping[str, ShopSettings]) -> ShopSettings:
    if not isinstance(entry, dict):
        what = f"{path}: an entry of `shops` is no object."
        raise RecordingError(what)
    found = {key: entry[key] for key in (*_SHOP_REQUIRED, *_SHOP_KEYS) if entry.get(key) is not None}
    if type(found.get("shop_id")) is int:
        # As in every record: an integer id is its text.
        found["shop_id"] = str(found["shop_id"])
    own = known.get(str(found.get("shop_id")))
    if own is not None:
        found = {"timezone": own.timezone, "currency": own.currency, **found}
    for key in _SHOP_REQUIRED:
        if not found.get(key):
            what = f"{path}: `{key}` of the shop is missing."
            raise RecordingError(
                what,
                mend="No day and no sum is right without: give it there, or in [shops.<id>] of warroom.toml.",
            )
    try:
        shop = msgspec.convert(found, ShopSettings)
        ZoneInfo(shop.timezone)
    except msgspec.ValidationError as error:
        what = f"{path}: the shop's settings do not fit: {error}."
        raise RecordingError(what) from error
    except (KeyError, ValueError, OSError) as error:
        what = f"{path}: timezone {found['timezone']!r} is no IANA zone."
        raise RecordingError(what, mend="For example Europe/London.") from error
    return shop


def _instant(document: Mapping[str, object], key: str, path: Path) -> int:
    value = document.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        what = f"{path}: `{key}` is {value!r}, not an integer of milliseconds."
        raise RecordingError(what)
    return value


def _topics(value: object, path: Path) -> dict[str, TopicCount]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        what = f"{path}: `topics` is no object."
        raise RecordingError(what)
    counts: dict[str, TopicCount] = {}
    for name, entry in value.items():
        found = entry if isinstance(entry, dict) else {}
        records, size = found.get("records"), found.get("bytes")
        counts[name] = TopicCount(
            records if isinstance(records, int) else None, size if isinstance(size, int) else None
        )
    return counts


def _shop_document(shop: ShopSettings) -> dict[str, object]:
    document: dict[str, object] = {
        "shop_id": shop.shop_id,
        "timezone": shop.timezone,
        "currency": shop.currency,
    }
    default = ShopSettings(shop.shop_id)
    for key in _SHOP_KEYS:
        value = getattr(shop, key)
        if value != getattr(default, key):
            document[key] = list(value) if isinstance(value, tuple) else value
    return document
