"""The board as others see it: what an API, a page, an exporter or an evaluator may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from streams.alerts import Alert
    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison of a board with the direct engine found.

    Attributes:
        records: folded by both.
        lost: counted by the direct engine and not by the board.
        double: counted by the board and not by the direct engine.
        unlike: outcomes whose number differs in any topic and partition, for example `counted_late`.
        at_ms: the greatest R among the records compared.
    """

    records: int
    lost: int
    double: int
    unlike: tuple[str, ...]
    at_ms: int

    @property
    def agrees(self) -> bool:
        """Return whether every outcome of every topic and partition is the same."""
        return not (self.lost or self.double or self.unlike)


class Board(Protocol):
    """Columns with a clock: one object that answers for a live cluster, a replay or a recording.

    Attributes:
        settings: of the process.
        columns: what is known, merged over partitions. On an event loop only `version` and `vouched_ms` may be read of
            a board that runs; everything else is asked for in `in_turn`.
        replay_id: not empty on a replay; every view then carries a REPLAY banner (X-81).
        badge: a word shown wherever numbers are shown, such as "synthetic"; empty for live data.
    """

    settings: Settings
    columns: Columns
    replay_id: str
    badge: str

    def now_ms(self) -> int:
        """Return "now" (X-79): the wall clock live, the replay's own clock on a replay."""
        ...

    def ready(self) -> str | None:
        """Return None when the board holds everything up to its start, else what it is waiting for."""
        ...

    def alerts(self) -> Sequence[Alert]:
        """Return alerts, newest first, firing and resolved."""
        ...

    async def changed(self, since: int) -> int:
        """Wait until `columns.version` exceeds `since`, and return it."""
        ...

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do a piece of work with the columns beside the event loop; return what it returns, raise what it raises.

        One piece at a time, in the order asked for, questions and flushes alike: no question sees half a flush, and
        neither holds the other up for longer than what was asked before it. Who goes away while it waits is forgotten;
        what has begun ends by itself. The work sends nothing and waits for nobody.
        """
        ...


@runtime_checkable
class PublishesCampaigns(Protocol):
    """What can put a new version of a campaign's record on its topic: how a goal is set while the board runs."""

    async def publish_campaign(self, campaign: Campaign) -> None:
        """Return when the record is durable; the fold takes it in like any other.

        Raises:
            UnavailableError: the broker did not take it.
        """
        ...


@runtime_checkable
class ReportsLag(Protocol):
    """A board that also knows how far its worker is behind the broker."""

    def lag(self) -> int | None:
        """Return the records on the source topics that are not folded yet; None while that is unknown."""
        ...


@runtime_checkable
class KeepsHistory(Protocol):
    """A board that writes days down before they leave the state, and reads them back."""

    def history_fault(self) -> str | None:
        """Return which days that were written down cannot be read, and what to do; None while all is well."""
        ...

    async def keep_history(self, may: Callable[[], bool]) -> None:
        """Write days down as they close, until cancelled.

        Args:
            may: whether this is the board that does so; the others wait for its files.
        """
        ...


@runtime_checkable
class IsJudged(Protocol):
    """A board whose records are also folded by the direct engine, which says whether it would have said the same."""

    verdict: Verdict | None
