"""A broker that is away is reported, and the report can be read."""

from __future__ import annotations

import logging

from agents.client_logs import Throttle


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, values, None)


def test_a_text_passes_once_in_its_time_whatever_its_values_and_then_says_how_many_it_stands_for() -> None:
    now_s = [100.0]
    throttle = Throttle(30.0, lambda: now_s[0])
    assert throttle.filter(record("node %s away", 1))
    assert not throttle.filter(record("node %s away", 2))
    assert throttle.filter(record("another thing"))
    now_s[0] = 129.0
    assert not throttle.filter(record("node %s away", 1))
    now_s[0] = 130.0
    late = record("node %s away", 3)
    assert throttle.filter(late)
    assert late.getMessage() == "node 3 away (and 2 more like it)"
