"""The smaller form of `benchmarks.memory`: a worker does not grow with events, hung flushes or tiny batches."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

AT_MOST: Final = 1.1
"""Of one worker at two moments, stalled, and with tiny batches. Of two days it is measured in the full form: in the
smaller one cells are still new, which is the shop's variety and not the number of events (docs/STATE.md)."""

BOUND_MIB: Final = 300
"""Of docs/STATE.md for a shop as small: the process, records in flight, a flush, and its few cells."""


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """What the smaller form prints; it fails by itself when a record is lost or counted twice."""
    command = [sys.executable, "-m", "benchmarks.memory", "--json", "--small", "500000", "--large", "2000000"]
    command += ["--stall-seconds", "10", "--tiny-batches", "5000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("ratio", ["at_large_to_at_small", "stalled_to_small", "tiny_batches_to_plain"])
def test_a_worker_takes_no_more_than_a_tenth_more(measured: dict[str, Any], ratio: str) -> None:
    assert 0 < measured[ratio] <= AT_MOST, measured


@pytest.mark.parametrize(
    "size", ["rss_small_mib", "rss_large_mib", "rss_stalled_mib", "rss_tiny_batches_mib"]
)
def test_a_worker_stays_within_its_bound(measured: dict[str, Any], size: str) -> None:
    assert 0 < measured[size] <= BOUND_MIB, measured
