"""How the tests themselves are run: nothing is left out in silence, no order is relied upon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import NO_SKIPS_VARIABLE, SEED_VARIABLE

ROOT = Path(__file__).resolve().parents[2]


def _pytest(file: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {NO_SKIPS_VARIABLE, SEED_VARIABLE, "PYTEST_ADDOPTS"}
    environment = {name: value for name, value in os.environ.items() if name not in own} | variables
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            *arguments,
            str(file),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_fails_a_run_that_allows_none(tmp_path: Path) -> None:
    file = tmp_path / "test_one.py"
    file.write_text("import pytest\n\ndef test_it() -> None:\n    pytest.skip('no tool')\n", encoding="utf-8")
    strict = _pytest(file, **{NO_SKIPS_VARIABLE: "1"})
    assert strict.returncode == 1, strict.stdout + strict.stderr
    assert "1 skipped" in strict.stdout
    spread = _pytest(file, "--numprocesses", "2", **{NO_SKIPS_VARIABLE: "1"})
    assert spread.returncode == 1, spread.stdout + spread.stderr
    assert _pytest(file).returncode == 0


def test_a_file_with_a_slow_test_comes_first_whatever_the_seed(tmp_path: Path) -> None:
    for name in "abcd":
        mark = "import pytest\n\n@pytest.mark.slow\n" if name == "c" else ""
        text = f"{mark}def test_{name}() -> None: ...\n\ndef test_other() -> None: ...\n"
        (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
    for seed in ("1", "2", "3"):
        listed = _pytest(tmp_path, "--collect-only", "-q", **{SEED_VARIABLE: seed}).stdout
        assert set(re.findall(r"test_(.)\.py::", listed)[:2]) == {"c"}


def test_a_seed_repeats_its_order_and_another_one_does_not(tmp_path: Path) -> None:
    file = tmp_path / "test_many.py"
    file.write_text("\n".join(f"def test_{n}() -> None: ..." for n in range(30)), encoding="utf-8")
    first, again, other = (
        re.findall(r"::(test_\d+)", _pytest(file, "--collect-only", "-q", **{SEED_VARIABLE: seed}).stdout)
        for seed in ("1", "1", "2")
    )
    assert len(first) == 30
    assert first == again != other
    assert sorted(first) == sorted(other)
