"""The made-up shop: its products and SKUs, and the places where they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHOP_ID: Final = "lumen-and-loom"
SHOP_NAME: Final = "Lumen & Loom"
TIMEZONE: Final = "America/Los_Angeles"
CURRENCY: Final = "USD"
WAREHOUSE: Final = "reno"
CAMPAIGN_ID: Final = "black-friday"

SUB_CAMPAIGNS: Final = (
    ("live-festival", "LIVE festival"),
    ("creator-picks", "Creator picks"),
    ("flash-deals", "Flash deals"),
)


@dataclass(frozen=True, slots=True)
class Product:
    """A product card.

    Attributes:
        price_minor: list price of every variant.
        variants: what follows the slash in a SKU's id.
        flash: on sale in the flash sale.
    """

    product_id: str
    name: str
    category: str
    price_minor: int
    variants: tuple[str, ...]
    flash: bool = False

    @property
    def sku_ids(self) -> tuple[str, ...]:
        """Return the SKUs, for example `Linen wrap dress / M`."""
        return tuple(f"{self.name} / {variant}" for variant in self.variants)


_SIZES: Final = ("S", "M", "L", "XL")
_KITCHEN: Final = ("sage", "cream")


def _product(name: str, category: str, price_minor: int, *variants: str, flash: bool = False) -> Product:
    return Product(name.lower().replace(" ", "-"), name, category, price_minor, variants, flash)


PRODUCTS: Final = (
    _product("Linen wrap dress", "dresses", 5900, "S", "M", "L"),
    _product("Cloud fleece hoodie", "tops", 4200, *_SIZES, flash=True),
    _product("Ribbed lounge set", "sets", 4800, *_SIZES),
    _product("Satin midi skirt", "skirts", 3600, "S", "M", "L"),
    _product("Everyday crew tee", "tops", 1900, "white", "black", "clay", flash=True),
    _product("Pocket barn jacket", "outerwear", 8900, "S", "M", "L"),
    _product("Sunset glow lamp", "lighting", 2900, "small", "large", flash=True),
    _product("Paper moon lamp", "lighting", 3900, "30 cm", "45 cm"),
    _product("Waffle throw blanket", "home", 4500, "oat", "rust", "sage"),
    _product("Merino beanie", "accessories", 2400, "navy", "oat", "rust"),
    _product("Wide leg cord pants", "trousers", 5400, *_SIZES),
    _product("Ceramic mug pair", "kitchen", 2600, *_KITCHEN, flash=True),
    _product("Boucle cushion", "home", 2800, "cream", "moss"),
    _product("Silk scrunchie trio", "accessories", 1400, "jewel", "pastel"),
    _product("Quilted tote", "bags", 3800, "black", "olive"),
    _product("Cloud slippers", "shoes", 2700, "36-37", "38-39", "40-41", flash=True),
    _product("Cropped cardigan", "tops", 4400, "S", "M", "L"),
    _product("Soy candle", "home", 1800, "fig", "cedar", "neroli"),
    _product("Pleated tennis skirt", "skirts", 3200, "S", "M", "L"),
    _product("Canvas belt bag", "bags", 2900, "sand", "black"),
    _product("Oversized blazer", "outerwear", 7400, "S", "M", "L"),
    _product("Stoneware bowl set", "kitchen", 3900, *_KITCHEN),
    _product("Fairy light curtain", "lighting", 2100, "2 m", "3 m"),
    _product("Gauze baby wrap", "baby", 2300, "cloud", "peach"),
    _product("Thermal leggings", "trousers", 3100, *_SIZES),
    _product("Velvet bow clip", "accessories", 900, "black", "red"),
    _product("Recycled puffer vest", "outerwear", 6900, "S", "M", "L"),
    _product("Linen apron", "kitchen", 3400, *_KITCHEN),
    _product("Hooded bath robe", "home", 5200, "S-M", "L-XL"),
    _product("Knit polo dress", "dresses", 5600, "S", "M", "L"),
    _product("Desk cable tidy", "home", 1600, "walnut", "oak"),
    _product("Corduroy cap", "accessories", 2200, "brown", "green"),
    _product("Mesh ballet flats", "shoes", 4900, "37", "38", "39", "40"),
    _product("Bamboo sheet set", "home", 7900, "full", "queen"),
    _product("Plaid shacket", "outerwear", 5800, *_SIZES),
    _product("Travel jewellery case", "accessories", 2500, "blush", "slate"),
)

HERO_PRODUCT: Final = 0
HERO_VARIANT: Final = 1
"""`Linen wrap dress / M`, the best seller of the evening LIVE, which runs out on a campaign day."""

SKUS: Final = tuple((index, sku) for index, product in enumerate(PRODUCTS) for sku in product.sku_ids)
"""Product index and SKU id of every SKU."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where products are shown: a source block, and how much of the traffic comes through it.

    Attributes:
        block: the source block on the wire.
        share: weight among the places, while it is open, before hours and flash sale.
        hours: local hours in which it is open; (0, 24) is always.
        rate: name of its click-through parameter.
        featured: product index -> how much likelier than by popularity alone.
        flash: announces the flash sale.
        converts: factor on the orders per click.
    """

    block: dict[str, object]
    share: float
    rate: str
    hours: tuple[float, float] = (0.0, 24.0)
    featured: tuple[tuple[int, float], ...] = ()
    flash: bool = False
    converts: float = 1.0


def _block(owner: str, form: str, surface: str, **more: object) -> dict[str, object]:
    return {"owner": owner, "format": form, "surface": surface, "is_paid": False, **more}


def _live(
    account: str, content: str, sub: str | None = None, creator: str | None = None
) -> dict[str, object]:
    block = _block(
        "affiliate" if creator else "seller", "live", "live_room", account_id=account, content_id=content
    )
    return block | ({"creator_id": creator} if creator else {}) | _joined(sub)


def _video(
    account: str, content: str, sub: str | None = None, creator: str | None = None
) -> dict[str, object]:
    block = _block(
        "affiliate" if creator else "seller", "video", "feed", account_id=account, content_id=content
    )
    return block | ({"creator_id": creator} if creator else {}) | _joined(sub)


def _joined(sub: str | None) -> dict[str, object]:
    return {"campaign_id": CAMPAIGN_ID, "sub_campaign_id": sub} if sub else {}


def _paid(block: dict[str, object], ad: str) -> dict[str, object]:
    return {**block, "is_paid": True, "ad_id": ad}


_SHOP: Final = "lumen.and.loom"
_STUDIO: Final = "lumen.studio"
_CARD: Final = _block("seller", "product_card", "feed", account_id=_SHOP)

PLACES: Final = (
    Place(
        _live(_SHOP, "live-evening", "live-festival"),
        5.2,
        "ctr_live",
        (18.5, 23.5),
        ((0, 9.0), (2, 3.0)),
        False,
        1.5,
    ),
    Place(
        _live(_STUDIO, "live-noon", "live-festival"),
        2.6,
        "ctr_live",
        (11.5, 14.0),
        ((0, 4.0), (8, 4.0)),
        False,
        1.3,
    ),
    Place(
        _live("mira.finds", "live-mira", "creator-picks", "cr-mira"),
        3.0,
        "ctr_live",
        (16.0, 18.5),
        ((10, 6.0),),
    ),
    Place(
        _live("theo.home", "live-theo", "creator-picks", "cr-theo"),
        3.2,
        "ctr_live",
        (19.0, 21.5),
        ((6, 6.0), (7, 3.0)),
    ),
    Place(
        _live("june.ootd", "live-june", "flash-deals", "cr-june"),
        3.4,
        "ctr_live",
        (20.0, 22.5),
        ((1, 5.0),),
        True,
    ),
    Place(_video(_SHOP, "video-lookbook"), 0.9, "ctr_video", featured=((0, 3.0), (3, 3.0))),
    Place(
        _paid(_video(_SHOP, "video-hoodie", "flash-deals"), "ad-hoodie"),
        1.4,
        "ctr_video",
        featured=((1, 8.0),),
        flash=True,
    ),
    Place(_video(_STUDIO, "video-lamps"), 0.7, "ctr_video", featured=((6, 5.0), (7, 5.0), (22, 3.0))),
    Place(
        _video("mira.finds", "video-mira-1", "creator-picks", "cr-mira"),
        0.8,
        "ctr_video",
        featured=((10, 6.0),),
    ),
    Place(_video("mira.finds", "video-mira-2", None, "cr-mira"), 0.5, "ctr_video", featured=((16, 5.0),)),
    Place(
        _video("theo.home", "video-theo-1", "creator-picks", "cr-theo"),
        0.7,
        "ctr_video",
        featured=((8, 5.0),),
    ),
    Place(
        _video("june.ootd", "video-june-1", "flash-deals", "cr-june"),
        0.9,
        "ctr_video",
        featured=((4, 6.0),),
        flash=True,
    ),
    Place(
        _video("sol.kitchen", "video-sol-1", None, "cr-sol"),
        0.5,
        "ctr_video",
        featured=((11, 6.0), (21, 6.0)),
    ),
    Place(_video("ada.tries", "video-ada-1", None, "cr-ada"), 0.4, "ctr_video"),
    Place(_CARD, 2.1, "ctr_product_card"),
    Place(
        _block("seller", "product_card", "search", account_id=_SHOP), 1.0, "ctr_product_card", converts=1.6
    ),
    Place(_block("seller", "product_card", "shop_tab", account_id=_SHOP), 1.7, "ctr_shop_tab", flash=True),
    Place(
        _block(
            "affiliate",
            "video",
            "shop_tab",
            account_id="june.ootd",
            creator_id="cr-june",
            content_id="video-june-1",
        ),
        0.4,
        "ctr_shop_tab",
        featured=((4, 4.0),),
    ),
    Place(
        _block("affiliate", "showcase", "showcase", account_id="ada.tries", creator_id="cr-ada"),
        0.4,
        "ctr_product_card",
    ),
    Place(_block("none", "other", "offsite"), 0.3, "ctr_product_card"),
)

ACCOUNTS: Final[dict[str, tuple[str, str | None, str]]] = {
    _SHOP: ("marketing", None, "Lumen & Loom"),
    _STUDIO: ("linked", None, "Lumen Studio"),
    "mira.finds": ("affiliate", "cr-mira", "Mira finds"),
    "theo.home": ("affiliate", "cr-theo", "Theo at home"),
    "june.ootd": ("affiliate", "cr-june", "June OOTD"),
    "sol.kitchen": ("affiliate", "cr-sol", "Sol's kitchen"),
    "ada.tries": ("affiliate", "cr-ada", "Ada tries it"),
}
"""Kind, creator and name of every account that posts."""

CREATOR_TYPES: Final = {
    "cr-mira": "fashion",
    "cr-theo": "home",
    "cr-june": "fashion",
    "cr-sol": "home",
    "cr-ada": "reviews",
}

BOT_PLACE: Final = 15
"""Search, where the bots look."""

TERRITORIES: Final = (
    "US-CA",
    "US-TX",
    "US-NY",
    "US-FL",
    "US-IL",
    "US-WA",
    "US-PA",
    "US-OH",
    "US-GA",
    "US-OR",
)
