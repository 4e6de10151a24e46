"""Where traffic and order lines come from: atoms, slices and leaves.

An *atom* is kind x place, 14 values; slices and leaves are declared sets of atoms, so a slice that overlaps another
(Affiliate holds Affiliate-LIVE, Shop tab cuts across everything) is a union and never a guess.

Source: spec/events.md "From events to slices"; X-11 to X-14.
"""

from __future__ import annotations

from typing import Final

KINDS: Final = (
    "seller_live",
    "seller_video",
    "seller_product_card",
    "affiliate_live",
    "affiliate_video",
    "affiliate_other",
    "other",
)
"""Owner and format of a source; the index is half of the atom's code."""

OTHER: Final = KINDS.index("other")

ATOM_COUNT: Final = 2 * len(KINDS)
"""Atom code = 2 x kind index + (1 when the surface is the Shop tab)."""

ATOM_NAMES: Final = tuple(f"{kind}{suffix}" for kind in KINDS for suffix in ("", "+shop_tab"))

_SELLER: Final = {"live": 0, "video": 1, "product_card": 2}
_AFFILIATE: Final = {"live": 3, "video": 4}


def kind_of(owner: str, content_format: str) -> int:
    """Return the index into `KINDS` of a source block's owner and format."""
    if owner == "seller":
        return _SELLER.get(content_format, OTHER)
    if owner == "affiliate":
        return _AFFILIATE.get(content_format, KINDS.index("affiliate_other"))
    return OTHER


def atom_of(owner: str, content_format: str, surface: str) -> int:
    """Return the atom code, 0 to 13, of a source block; no source block is `NO_SOURCE_ATOM`."""
    return 2 * kind_of(owner, content_format) + (surface == "shop_tab")


NO_SOURCE_ATOM: Final = 2 * OTHER
"""The atom of an event without a source block: `other`, outside the Shop tab."""


def _both(*kinds: str) -> frozenset[int]:
    return frozenset(2 * KINDS.index(kind) + place for kind in kinds for place in (0, 1))


SLICES: Final[dict[str, frozenset[int]]] = {
    "all": frozenset(range(ATOM_COUNT)),
    "seller_live": _both("seller_live"),
    "seller_video": _both("seller_video"),
    "seller_product_card": _both("seller_product_card"),
    "affiliate": _both("affiliate_live", "affiliate_video", "affiliate_other"),
    "affiliate_live": _both("affiliate_live"),
    "affiliate_video": _both("affiliate_video"),
    "shop_tab": frozenset(range(1, ATOM_COUNT, 2)),
}
"""The eight formats of the briefs; they overlap and are never added up."""

OWNERS: Final[dict[str, frozenset[int]]] = {
    "own": _both("seller_live", "seller_video", "seller_product_card"),
    "affiliate": SLICES["affiliate"],
}
"""Who posts: the shop's own accounts, or creators; what is `other` is of neither."""

LIVE_ATOMS: Final = _both("seller_live", "affiliate_live")
VIDEO_ATOMS: Final = _both("seller_video", "affiliate_video")
CONTENT_ATOMS: Final = LIVE_ATOMS | VIDEO_ATOMS
"""What comes from a LIVE, from a video, from either."""

LEAVES: Final[dict[str, frozenset[int]]] = {
    "shop_tab": SLICES["shop_tab"],
    **{kind: frozenset({2 * index}) for index, kind in enumerate(KINDS)},
}
"""The partition for shares: Shop tab first, then each kind outside it; sums to all."""

LEAF_OF_ATOM: Final = tuple(
    next(name for name, atoms in LEAVES.items() if code in atoms) for code in range(ATOM_COUNT)
)
