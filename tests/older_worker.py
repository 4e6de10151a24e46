"""A worker of an earlier version, for tests of an upgrade: `content_day` is without the atom, as it was.

Its arguments are those of `agents.worker`; `--cube` leaves out what came later.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Final

from agents import worker
from streams.cubes import CONTENT_DAY, CUBES

EARLIER: Final = dataclasses.replace(CONTENT_DAY, dims=("content", "product"))

if __name__ == "__main__":
    vars(worker)["CUBES"] = [EARLIER if cube == CONTENT_DAY else cube for cube in CUBES]
    sys.exit(worker.main())
