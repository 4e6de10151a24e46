"""Generate docs/schemas/: one JSON Schema per event type, for those who write producers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from streams.events import json_schemas

FOLDER: Final = "docs/schemas"


def documents(_root: Path) -> dict[str, str]:
    """Return the schemas as files, by path from the top of the checkout."""
    return {
        f"{FOLDER}/{name}.json": json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, schema in json_schemas().items()
    }
