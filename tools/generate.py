"""Write every generated file, or with `--check` say which ones have drifted from what they are generated from.

A generator is a function that returns the whole text of its files by path from the top of the checkout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools import (
    generate_asyncapi,
    generate_dashboards,
    generate_docs,
    generate_metrics,
    generate_rules,
    generate_schemas,
    generate_sources,
    generate_traceability,
    generate_views,
)

ROOT: Final = Path(__file__).resolve().parent.parent

Generator = Callable[[Path], dict[str, str]]

GENERATORS: Final[tuple[Generator, ...]] = (
    generate_asyncapi.documents,
    generate_dashboards.documents,
    generate_docs.documents,
    generate_metrics.documents,
    generate_rules.documents,
    generate_schemas.documents,
    generate_sources.documents,
    generate_traceability.documents,
    generate_views.documents,
)
"""Each takes the top of the checkout."""


def generated(root: Path = ROOT) -> dict[str, str]:
    """Return the text that every generated file must have, by path from `root`."""
    files: dict[str, str] = {}
    for generator in GENERATORS:
        files |= generator(root)
    return files


def drifted(root: Path = ROOT) -> list[str]:
    """Return the paths of generated files that are missing or differ from what would be written."""
    return [name for name, text in sorted(generated(root).items()) if not _holds(root / name, text)]


def write(root: Path = ROOT) -> list[str]:
    """Write the files that have drifted and return their paths."""
    changed = drifted(root)
    files = generated(root)
    for name in changed:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; exit code 1 when `--check` finds drift."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on drift")
    if parser.parse_args(arguments).check:
        changed = drifted()
        for name in changed:
            print(f"{name} has drifted; run: make generate", file=sys.stderr)
        return 1 if changed else 0
    for name in write():
        print(f"wrote {name}")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
