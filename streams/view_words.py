"""What a reader asks of a view: parameters checked against its record, before any part is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streams.catalogue import METRICS as CATALOGUE
from streams.errors import QueryError
from streams.request import MAX_LIMIT, unknown
from streams.view import COMMON, METRICS, TREND, Shape

if TYPE_CHECKING:
    from streams.events import Shop
    from streams.metric import Metric
    from streams.view import Part, View

Words = Mapping[str, str | Sequence[str]]

FORMATS: Final = ("json", "table", "csv")

_LISTS: Final = (METRICS.name, TREND.name)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Parameters of a view, checked.

    Attributes:
        values: by name, defaults included; nothing that is empty.
        where: filters as given, `dimension=value`.
        metrics, trend: that the reader chose, `trend` for trends; empty: the view's own.
        profile: the shop's own record.
        known: the catalogue with the seller's own metrics, which may stand wherever there is a choice.
    """

    values: dict[str, str]
    where: tuple[str, ...]
    metrics: tuple[str, ...]
    trend: tuple[str, ...]
    known: Mapping[str, Metric]
    profile: Shop | None

    def __getitem__(self, name: str) -> str:
        """Return a parameter's value, empty where it has none."""
        return self.values.get(name, "")

    def metrics_of(self, part: Part) -> tuple[str, ...]:
        """Return what a part shows: what the reader chose of its choices, perhaps none, else its own."""
        if part.marked:
            kpis = self.profile.kpis if self.profile is not None else ()
            return tuple(dict.fromkeys(name for name in kpis if name in self.known))
        wanted = self.trend if part.shape is Shape.TREND else self.metrics
        if not wanted or not part.choices:
            return part.metrics
        allowed = {*part.choices, *part.metrics, *own_of(self.known)}
        return tuple(name for name in wanted if name in allowed)

    def shown(self) -> dict[str, str]:
        """Return the parameters as an answer says them."""
        return self.values | ({"where": ",".join(self.where)} if self.where else {})


def own_of(known: Mapping[str, Metric]) -> list[str]:
    """Return the metrics that the seller has added."""
    return [name for name in known if name not in CATALOGUE]


def choose(view: View, words: Words, known: Mapping[str, Metric], profile: Shop | None) -> Chosen:
    """Return the parameters of a view.

    Args:
        view: the record.
        words: by name; one given several times may be a list.
        known: the catalogue with the seller's own metrics.
        profile: the shop's own record, which some parameters take their default from.

    Raises:
        QueryError: `unknown_parameter`, `unknown_value`, `unknown_metric`, `unknown_part`, `unknown_format`,
            `bad_limit`, `no_metrics`, `needs_parameter`; the message names what the view knows.
    """
    own = {parameter.name: parameter for parameter in view.parameters}
    values = {name: each.default for name, each in own.items() if each.default}
    for name, each in own.items():
        said = getattr(profile, each.of_shop, None) if each.of_shop else None
        if said in each.values:
            values[name] = said
    where: tuple[str, ...] = ()
    for name, given in words.items():
        if name not in own and name not in COMMON:
            raise unknown(name, [*own, *COMMON], kind="parameter")
        texts = [given] if isinstance(given, str) else list(given)
        if name == "where":
            where = tuple(text for text in texts if text.strip())
            continue
        joined = (",".join(texts) if name in _LISTS else texts[-1] if texts else "").strip()
        if not joined:
            continue
        if name in own and own[name].values and joined not in own[name].values:
            raise unknown(joined, own[name].values, kind="value")
        values[name] = joined
    for name, parameter in own.items():
        if parameter.required and name not in values:
            what = f"The view {view.name} needs the parameter {name}: {parameter.meaning}."
            raise QueryError(what, reason="needs_parameter", mend=f"Add {name}=...")
    limit = values.get("limit", "1")
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
        what = f"The limit {limit[:100]!r} is not a number from 1 to {MAX_LIMIT}."
        raise QueryError(what, reason="bad_limit", mend="Leave it out for all rows.")
    if values.get("format", "json") not in FORMATS:
        raise unknown(values["format"], FORMATS, kind="format")
    _check_part(view, values.get("part", ""))
    metrics, trend = (_metrics(view, name, values.get(name, ""), own_of(known)) for name in _LISTS)
    return Chosen(values, where, metrics, trend, known, profile)


def _check_part(view: View, name: str) -> None:
    names = [part.name for part in view.parts]
    if name and name not in names:
        raise unknown(name, names, kind="part")


def _metrics(view: View, parameter: str, text: str, own: Sequence[str]) -> tuple[str, ...]:
    parts = [part for part in view.parts if (part.shape is Shape.TREND) == (parameter == TREND.name)]
    choices = list(dict.fromkeys(name for part in parts for name in (*part.choices, *part.metrics)))
    wanted = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in wanted:
        if name not in choices and name not in own:
            raise unknown(name, [*choices, *own], kind="metric")
    if text and not wanted:
        what = f"The parameter {parameter} names no metric."
        raise QueryError(what, reason="no_metrics", mend=f"The view shows: {', '.join(choices)}.")
    return wanted
