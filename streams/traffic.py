"""Valid traffic as columns: what the folds of adding and uniting work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.events import Traffic

ATOM_CODES: Final = {
    (owner, content_format, surface): atom_of(owner, content_format, surface)
    for owner in ("seller", "affiliate", "none")
    for content_format in ("live", "video", "product_card", "showcase", "other")
    for surface in ("shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other")
}
"""The atom of every source block that the wire allows."""


class Place(NamedTuple):
    """What cubes need of an attribution block; None where it names none."""

    atom: int
    content: str | None = None
    creator: str | None = None
    sub_campaign: str | None = None


NO_PLACE: Final = Place(NO_SOURCE_ATOM)
"""Of an event without an attribution block."""


@dataclass(slots=True)
class TrafficColumns:
    """Well-formed traffic of a batch, columns of one length; names are text, None where an event gives none.

    Attributes:
        index: each row's place in the batch, rising.
        event_types, event_ids, shop_ids, currencies, users, products, skus, territories: as on the wire, ids as text.
        occurred_ms: event time.
        places: distinct attribution blocks; a batch of thousands holds some hundred.
        place_rows: which of them each row has.
    """

    index: NDArray[np.int64]
    event_types: list[str]
    event_ids: list[str]
    shop_ids: list[str]
    currencies: list[str | None]
    occurred_ms: NDArray[np.int64]
    users: list[str | None]
    products: list[str]
    skus: list[str | None]
    territories: list[str | None]
    places: list[Place]
    place_rows: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.event_ids)

    def records(self) -> list[tuple[object, ...]]:
        """Return the rows, whatever the order of `places`: what two decoders must agree on."""
        return list(
            zip(
                self.index.tolist(),
                self.event_types,
                self.event_ids,
                self.shop_ids,
                self.currencies,
                self.occurred_ms.tolist(),
                self.users,
                self.products,
                self.skus,
                self.territories,
                (self.places[row] for row in self.place_rows.tolist()),
                strict=True,
            )
        )


def columns_of(indices: Sequence[int], events: Sequence[Traffic]) -> TrafficColumns:
    """Put settled events (ids as text) into columns; equal lengths, any mix of traffic types."""
    places: dict[Place, int] = {}
    rows = []
    for event in events:
        source = event.source
        place = NO_PLACE
        if source is not None:
            atom = ATOM_CODES[source.owner, source.format, source.surface]
            place = Place(
                atom, _text(source.content_id), _text(source.creator_id), _text(source.sub_campaign_id)
            )
        rows.append(places.setdefault(place, len(places)))
    return TrafficColumns(
        index=np.array(indices, dtype=np.int64),
        event_types=[event.event_type for event in events],
        event_ids=[str(event.event_id) for event in events],
        shop_ids=[str(event.shop_id) for event in events],
        currencies=[event.currency for event in events],
        occurred_ms=np.array([event.occurred_at_ms for event in events], dtype=np.int64),
        users=[_text(event.user_key) for event in events],
        products=[str(event.product_id) for event in events],
        skus=[_text(getattr(event, "sku_id", None)) for event in events],
        territories=[getattr(event, "territory", None) for event in events],
        places=list(places),
        place_rows=np.array(rows, dtype=np.int64),
    )


def _text(name: str | int | None) -> str | None:
    return None if name is None else str(name)
