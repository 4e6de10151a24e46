"""On every recording the rules say what a person has looked at and found to make sense.

When a rule has changed on purpose: `python -m tests.expected_alerts.look --write`, look at the difference, keep it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.expected_alerts.cases import CASES, RECORDINGS, Case
from tests.expected_alerts.look import FOLDER, NO_NOTE, kept, kinds, said, stock_outs

AGAIN = "python -m tests.expected_alerts.look"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_recording_gives_the_alerts_that_were_looked_at(case: Case, tmp_path: Path) -> None:
    found, timezone = case.rehearsed(tmp_path)
    expected = kept(case)["expected"]
    assert said(found, timezone) == expected["alerts"], AGAIN
    assert stock_outs(found, timezone) == expected["stock_outs"], AGAIN
    assert len(found.pages) == expected["pages"], AGAIN
    assert kinds(found) == sorted(kept(case)["notes"]), AGAIN


def test_every_recording_has_its_expected_alerts_and_every_kind_its_note() -> None:
    names = {case.name for case in CASES}
    assert {path.name for path in RECORDINGS.iterdir() if path.is_dir()} <= names
    assert {path.stem for path in FOLDER.glob("*.toml")} == names
    for case in CASES:
        notes = kept(case)["notes"]
        assert all(len(note.split()) > 5 and NO_NOTE not in note for note in notes.values()), case.name
