"""Atoms, slices and leaves, against the table of the specification."""

from __future__ import annotations

import itertools

import pytest

from streams.atoms import ATOM_COUNT, ATOM_NAMES, LEAF_OF_ATOM, LEAVES, NO_SOURCE_ATOM, SLICES, atom_of
from streams.traffic import ATOM_CODES

OWNERS = ("seller", "affiliate", "none")
FORMATS = ("live", "video", "product_card", "showcase", "other")
SURFACES = ("shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other")


@pytest.mark.parametrize(
    ("owner", "content_format", "surface", "slices", "leaf"),
    [
        ("seller", "live", "live_room", {"all", "seller_live"}, "seller_live"),
        ("seller", "live", "shop_tab", {"all", "seller_live", "shop_tab"}, "shop_tab"),
        ("seller", "product_card", "search", {"all", "seller_product_card"}, "seller_product_card"),
        ("seller", "showcase", "showcase", {"all"}, "other"),
        ("affiliate", "video", "feed", {"all", "affiliate", "affiliate_video"}, "affiliate_video"),
        ("affiliate", "showcase", "shop_tab", {"all", "affiliate", "shop_tab"}, "shop_tab"),
        ("affiliate", "product_card", "feed", {"all", "affiliate"}, "affiliate_other"),
        ("none", "live", "live_room", {"all"}, "other"),
        ("none", "other", "shop_tab", {"all", "shop_tab"}, "shop_tab"),
    ],
)
def test_a_source_is_in_its_slices_and_in_one_leaf(
    owner: str, content_format: str, surface: str, slices: set[str], leaf: str
) -> None:
    atom = atom_of(owner, content_format, surface)
    assert {name for name, atoms in SLICES.items() if atom in atoms} == slices
    assert [name for name, atoms in LEAVES.items() if atom in atoms] == [leaf]
    assert LEAF_OF_ATOM[atom] == leaf


def test_every_source_that_the_wire_allows_has_an_atom() -> None:
    assert {key: atom_of(*key) for key in itertools.product(OWNERS, FORMATS, SURFACES)} == ATOM_CODES
    assert set(ATOM_CODES.values()) == set(range(ATOM_COUNT))


def test_leaves_part_all_atoms() -> None:
    assert sorted(itertools.chain.from_iterable(LEAVES.values())) == sorted(SLICES["all"])


def test_no_source_counts_as_other_outside_the_shop_tab() -> None:
    assert ATOM_NAMES[NO_SOURCE_ATOM] == "other"
    assert LEAF_OF_ATOM[NO_SOURCE_ATOM] == "other"
