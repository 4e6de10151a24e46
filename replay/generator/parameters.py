"""What the generator assumes, and what it has measured: every number with where it comes from.

The whole table goes into the manifest of a generated recording. `measured` names the set; the code that measured it is
`replay.generator.measure`. Everything else is `assumed`: plausible for a shop that sells on LIVE and video, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

OPEN_BANDIT: Final = "open_bandit/impressions_men"
ONLINE_RETAIL: Final = "uci_online_retail/online_retail_2009_2010"

Scenario = Literal["campaign_day", "ordinary_day"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the scenario.

    Attributes:
        measured: the set it was measured on; empty when it is assumed.
        meaning: what it is, with its unit.
    """

    value: float | tuple[float, ...]
    meaning: str
    measured: str = ""

    def document(self) -> dict[str, object]:
        """Return the parameter as it stands in the manifest."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        basis = {"basis": "measured", "on": self.measured} if self.measured else {"basis": "assumed"}
        return {"value": value, **basis, "meaning": self.meaning}


_BY_HOUR: Final = (
    *(0.0680, 0.0314, 0.0205, 0.0119, 0.0083, 0.0107, 0.0157, 0.0263, 0.0280, 0.0333, 0.0387, 0.0394),
    *(0.0524, 0.0395, 0.0391, 0.0392, 0.0392, 0.0434, 0.0481, 0.0522, 0.0677, 0.0824, 0.0863, 0.0780),
)

_COMMON: Final[dict[str, Parameter]] = {
    "impressions": Parameter(250_000, "product impressions of a campaign day at scale 1"),
    "impressions_by_hour": Parameter(_BY_HOUR, "share of each local hour of the day", OPEN_BANDIT),
    "ctr_product_card": Parameter(0.00575, "clicks per impression of cards, search, showcase", OPEN_BANDIT),
    "ctr_live": Parameter(0.068, "clicks per impression in a LIVE"),
    "ctr_video": Parameter(0.034, "clicks per impression of a video"),
    "ctr_shop_tab": Parameter(0.018, "clicks per impression in the Shop tab"),
    "ctor": Parameter(0.047, "SKU orders per click, mean over products, before flash sale and stock-outs"),
    "page_view_share": Parameter(0.82, "detail-page loads per click"),
    "cart_share": Parameter(0.17, "add-to-cart presses per click"),
    "popularity_exponent": Parameter(0.337, "products' sales fall with rank to this power", ONLINE_RETAIL),
    "customers_per_order": Parameter(0.8865, "distinct customers of a day per order", ONLINE_RETAIL),
    "return_line_share": Parameter(0.0202, "returned lines per order line, of earlier days", ONLINE_RETAIL),
    "extra_lines": Parameter(0.3, "further lines of an order beside the one that was clicked"),
    "quantity_share": Parameter((0.86, 0.11, 0.03), "share of lines with 1, 2, 3 units"),
    "people": Parameter(60_000, "people who are shown anything on a campaign day at scale 1"),
    "people_exponent": Parameter(1.7, "skew of how often the same person is shown something; 1 is even"),
    "cancelled_share": Parameter(0.025, "orders cancelled within two hours"),
    "sales_tax": Parameter(0.0775, "tax on goods, one rate for all territories"),
    "coupon_share": Parameter(0.06, "orders with a coupon of 10 %"),
    "delay_median_ms": Parameter(400, "record timestamp less event time, median of a lognormal"),
    "late_share": Parameter(0.004, "traffic that arrives minutes to hours after it occurred"),
    "late_median_ms": Parameter(1_200_000, "delay of late records, median of a lognormal"),
    "repeat_share": Parameter(0.02, "records that are sent twice"),
    "repeat_within_ms": Parameter(480_000, "a repeat follows its first copy within this"),
    "heartbeat_every_ms": Parameter(30_000, "of each feed"),
    "new_videos": Parameter(3, "videos published on this day; the others are up to 20 days old"),
    "views_per_viewer": Parameter(2.4, "views of a content per viewer whom it shows a product"),
    "engagement_shares": Parameter((0.061, 0.018, 0.006, 0.011), "likes, comments, shares, saves per view"),
    "watch_seconds_live": Parameter(38, "watched per view of a LIVE"),
    "watch_seconds_video": Parameter(11, "watched per view of a video"),
    "concurrent_share": Parameter(0.6, "concurrent viewers of a LIVE per view of a minute"),
    "age_band_shares": Parameter((0.34, 0.41, 0.25), "viewers of 18-24, 25-34, 35+"),
    "followers": Parameter(48_000, "of the shop's account at midnight; the linked one has a quarter"),
    "follower_gain_per_day": Parameter(0.012, "new followers per follower and day"),
    "ad_cpc_minor": Parameter(38, "paid per click of an ad, minor units"),
    "ad_first_report_share": Parameter(
        0.94, "of cost and return that is known in the first report of an hour"
    ),
    "abandoned_checkouts_per_order": Parameter(0.7, "checkouts begun and left, per order"),
    "benchmark_rates": Parameter((0.031, 0.045, 0.16), "ctr, ctor, atc_rate of the own tier"),
}

_CAMPAIGN: Final[dict[str, Parameter]] = {
    "violation_hours": Parameter((20.6, 21.4), "a LIVE's violation is opened and resolved, local hours"),
    "flash_sale_hours": Parameter((21.0, 21.5), "flash sale, local hours"),
    "flash_traffic_factor": Parameter(2.2, "impressions of the sources that announce the flash sale"),
    "flash_ctor_factor": Parameter(2.4, "SKU orders per click of the flash products during the sale"),
    "stock_out_hour": Parameter(
        21.67, "local hour about which the stock of the LIVE's best seller is set to end"
    ),
    "stock_out_spread_hours": Parameter(0.12, "standard deviation of that hour over seeds"),
    "restock_hour": Parameter(23.0, "local hour at which the best seller is restocked"),
    "tight_skus": Parameter(6, "further SKUs whose stock ends near the end of the day"),
    "bot_hour": Parameter(22.35, "local hour of the bot burst"),
    "bot_minutes": Parameter(4, "its length"),
    "bot_people": Parameter(6, "user keys behind it"),
    "bot_impressions": Parameter(4_000, "impressions of one product by them, at scale 1"),
    "bot_clicks": Parameter(700, "clicks of that product by them, at scale 1"),
    "feed_gap_hours": Parameter(
        (21.75, 22.3), "the clicks feed is silent, local hours, then sends what it held back"
    ),
    "goal_factor": Parameter(
        (0.95, 1.08), "the day's goal over the GMV that the day brings, range over seeds"
    ),
}

_ORDINARY: Final[dict[str, Parameter]] = {
    "impressions": Parameter(70_000, "product impressions of an ordinary day at scale 1"),
    "people": Parameter(22_000, "people who are shown anything on an ordinary day at scale 1"),
}


def parameters_of(scenario: Scenario) -> dict[str, Parameter]:
    """Return the parameters of a scenario by name."""
    return {**_COMMON, **(_CAMPAIGN if scenario == "campaign_day" else _ORDINARY)}


class Knobs:
    """The values of a scenario's parameters, asked for by name and kind.

    Args:
        parameters: as `parameters_of` gives them.
    """

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self._parameters = parameters

    def number(self, name: str) -> float:
        """Return a parameter that is one number."""
        value = self._parameters[name].value
        if isinstance(value, tuple):
            what = f"{name} is a row of numbers"
            raise TypeError(what)
        return value

    def row(self, name: str) -> tuple[float, ...]:
        """Return a parameter that is a row of numbers."""
        value = self._parameters[name].value
        return value if isinstance(value, tuple) else (value,)

    def __contains__(self, name: str) -> bool:
        return name in self._parameters
