"""Say once what aiokafka says ten times a second: while a broker is away, every client reports every attempt."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S: Final = 30.0

NOISY: Final = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)
"""A filter holds only for what is logged under the very name of its logger."""


class Throttle(logging.Filter):
    """Let one record of each text template pass every `every_s` seconds, with the number of those left out."""

    def __init__(self, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._passed_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record."""
        template = str(record.msg)
        now_s = self._clock()
        last_s = self._passed_s.get(template)
        if last_s is not None and now_s - last_s < self._every_s:
            self._left_out[template] = self._left_out.get(template, 0) + 1
            return False
        self._passed_s[template] = now_s
        left_out = self._left_out.pop(template, 0)
        if left_out:
            record.msg = f"{template} (and {left_out} more like it)"
        return True


def throttle_client_logs() -> None:
    """Put the throttle on aiokafka's loggers, once per process."""
    for name in NOISY:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Throttle) for one in logger.filters):
            logger.addFilter(Throttle())
