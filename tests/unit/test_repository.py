"""What holds for the repository as a whole: prose agrees with code, generated files with source, rules with files."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import grimp
import pytest

from streams.cubes import CUBES
from streams.errors import SettingsError
from streams.settings import SECTIONS, GoalSettings, OwnMetricSettings, Settings, ShopSettings
from streams.topics import TOPICS
from tools import generate, generate_docs
from warroom.cli import main
from warroom.configuration import BESIDE_SETTINGS, load

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("streams", "agents", "dashboards", "replay", "warroom")
MODULE_LINES: Final = 420
"""About 400: a module that outgrows it holds more than one concept."""
TEST_LINES: Final = 600
"""A file of tests mirrors one module and may need more lines than that."""
WARROOM_LINES: Final = 300
"""Of one command or group of commands (ADR 9)."""
GLOSSARY_CHARACTERS: Final = 2 * 110
"""Two lines."""

REGISTRY_HOSTS: Final = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
    )
)
"""In parts, so that this file does not name what it forbids."""
MACHINE_PATHS: Final = tuple(f"/{top}/" for top in ("work", "root", "home"))

PROSE: Final = ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "CHANGELOG.md")


def tracked() -> list[Path]:
    """Return the files of the repository; without git, those that its ignore list would leave."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    ignored = {".git", ".venv", ".cache", ".warroom", "__pycache__", ".hypothesis", "build", "dist"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not (ignored | {p for p in path.parts if p.endswith("_cache")}) & set(path.parts)
    ]


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every text file with its text."""
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            yield path.relative_to(ROOT), data.decode("utf-8", errors="replace")


def sources(*folders: str) -> list[Path]:
    """Return the Python files below the folders."""
    wanted = {ROOT / folder for folder in folders}
    return [path for path in tracked() if path.suffix == ".py" and wanted & set(path.parents)]


def pages() -> list[Path]:
    """Return the Markdown pages that we wrote."""
    return [path for path in tracked() if path.suffix == ".md" and "vendor" not in path.parts]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# --- prose agrees with code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [*ROOMS, "tests", "tools", "benchmarks"])
def test_modules_do_not_import_in_circles(package: str) -> None:
    # In a circle, which module is imported first decides whether it can be imported at all.
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    assert graph.modules
    assert not graph.nominate_cycle_breakers(package)


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target) or "NNNN" in target:
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            if not path.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
            elif anchor and anchor not in _anchors(path):
                broken.append(f"{page.relative_to(ROOT)}: {target} (no such heading)")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PROSE[1:])
def test_the_readme_leads_to_every_page_at_the_top(name: str) -> None:
    assert f"]({name})" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        *SECTIONS.items(),
        ("shops", ShopSettings),
        ("goals", GoalSettings),
        ("metrics", OwnMetricSettings),
    ],
    ids=[*SECTIONS, "shops", "goals", "metrics"],
)
def test_every_setting_says_what_it_is_for(section: str, kind: type) -> None:
    told = generate_docs.attributes_of(kind)
    assert [field.name for field in dataclasses.fields(kind) if not told.get(field.name)] == [], section


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_is_documented(topic: str) -> None:
    assert f"| `{topic}` |" in (ROOT / "docs" / "STATE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("cube", [cube.name for cube in CUBES])
def test_every_cube_is_documented(cube: str) -> None:
    assert f"| `{cube}` |" in (ROOT / "docs" / "STATE.md").read_text(encoding="utf-8")


def test_settings_shown_in_pages_are_accepted(tmp_path: Path) -> None:
    shown = [block for page in pages() for block in _blocks(page, "toml")]
    shown += [path.read_text(encoding="utf-8") for path in tracked() if path.match("warroom*.toml")]
    assert shown
    for number, block in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(block, encoding="utf-8")
        assert load(path, environment={}) != Settings()


def test_a_setting_that_does_not_exist_would_have_been_noticed(tmp_path: Path) -> None:
    path = tmp_path / "warroom.toml"
    path.write_text("[kafka]\nbootstrap_servers = 'x'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="bootstrap_servers"):
        load(path, environment={})


def test_commands_shown_in_pages_are_understood() -> None:
    lines = [line for page in pages() for block in _blocks(page, "sh") for line in block.splitlines()]
    commands = [
        line.split("warroom ", 1)[1].split() for line in lines if re.match(r"(\.venv/bin/)?warroom ", line)
    ]
    assert commands
    for words in commands:
        _parse(main, words)


def _parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Parse a command line as the program would, without doing what it says.

    Raises:
        click.UsageError: it is not understood.
    """
    if not isinstance(command, click.Group):
        command.make_context(command.name, list(words), parent=parent)
        return
    name, found, rest = command.resolve_command(click.Context(command, parent=parent), list(words))
    assert found is not None, name
    _parse(found, rest, parent)


def test_targets_of_make_are_those_that_contributing_explains() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, flags=re.MULTILINE))
    told = set(
        re.findall(
            r"^\| `make ([a-z]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert targets - {"help", "clean"} == told
    shown = {match for page in pages() for match in re.findall(r"`?make ([a-z]+)(?=[`\s])", _code(page))}
    assert shown <= targets


def _code(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    return "\n".join([*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`make [^`]+`", text)])


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_words_of_the_glossary_take_two_lines_at_most_and_stand_once() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \|$", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    words = [word for word, _ in rows if word not in {"word", "---"}]
    assert len(words) == len(set(words)) > 50
    assert [word for word, meaning in rows if len(meaning) > GLOSSARY_CHARACTERS] == []


def test_decision_records_have_one_form_and_stand_in_their_index() -> None:
    records = [path for path in tracked() if path.parent == ROOT / "docs" / "adr" and path.name[0].isdigit()]
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    numbers = [path.name[:4] for path in records]
    assert len(numbers) == len(set(numbers))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}. "), path.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings[:2] == ["Context", "Decision"], path.name
        assert "Consequences" in headings, path.name
        assert headings[-1] == "References", path.name
        assert re.search(r"^- Status: (accepted|proposed|superseded)", text, re.MULTILINE), path.name
        assert f"]({path.name})" in index, path.name


@pytest.mark.parametrize(
    ("event_type", "required"),
    [
        ("product_impression", {"product_id"}),
        ("order_paid", {"order_id", "customer_id", "created_at_ms", "paid_at_ms", "lines"}),
        ("order_status", {"order_id", "status", "seq"}),
        ("stock_changed", {"sku_id", "product_id", "available"}),
        ("heartbeat", {"source", "topics", "sent_until_ms"}),
    ],
)
def test_schemas_for_producers_demand_what_the_specification_demands(
    event_type: str, required: set[str]
) -> None:
    """Fields marked as required in spec/events.md, and those of the envelope."""
    schema = json.loads((ROOT / "docs" / "schemas" / f"{event_type}.json").read_text(encoding="utf-8"))
    (found,) = [kind for kind in schema["$defs"].values() if "event_id" in kind.get("properties", {})]
    assert {"event_id", "event_type", "shop_id", "occurred_at_ms"} | required <= set(found["required"])
    assert not {"user_key", "source_system", "currency", "schema_version"} & set(found["required"])


# --- generated files agree with their source ----------------------------------------------------------------------


def test_generated_files_have_not_drifted() -> None:
    assert generate.drifted() == [], "run: make generate"


def test_drift_is_noticed_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "GENERATORS", (lambda _: {"docs/made.md": "new\n"},))
    assert generate.drifted(tmp_path) == ["docs/made.md"]
    assert generate.write(tmp_path) == ["docs/made.md"]
    assert generate.drifted(tmp_path) == []
    (tmp_path / "docs" / "made.md").write_text("by hand\n", encoding="utf-8")
    assert generate.drifted(tmp_path) == ["docs/made.md"]


# --- rules hold for files -----------------------------------------------------------------------------------------


def test_modules_are_short_enough_to_hold_one_concept() -> None:
    lines = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*ROOMS, "tools", "benchmarks", "tests")
    }
    bounds = {path: TEST_LINES if ROOT / "tests" in path.parents else MODULE_LINES for path in lines}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > bounds[path]} == {}


def test_a_command_only_joins_rooms_and_so_stays_small() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources("warroom")}
    assert {name: count for name, count in lines.items() if count > WARROOM_LINES} == {}


def test_every_variable_that_a_file_names_is_a_setting_or_known_beside_them() -> None:
    """Else what the makefile, the deployment, a test or a page of the docs sets would stop every command."""
    wrong_ones = Path("tests/unit/warroom/test_configuration.py")
    used = {
        name
        for path, text in texts()
        if path != wrong_ones
        for name in re.findall(r"\bWARROOM_[A-Z_]*[A-Z]\b", text)
    }
    settings = {
        f"WARROOM_{section}_{field.name}".upper()
        for section, kind in SECTIONS.items()
        for field in dataclasses.fields(kind)
    }
    assert used - settings - {"WARROOM_LINES"} == BESIDE_SETTINGS  # which is a number of this file


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = [
        f"{path}: {word}"
        for path, text in texts()
        for word in (*REGISTRY_HOSTS, *MACHINE_PATHS)
        if path != Path(__file__).relative_to(ROOT) and word in text
    ]
    assert found == []


def test_every_ignore_has_a_code_and_a_reason() -> None:
    bare = []
    for path in sources(*ROOMS, "tools", "benchmarks", "tests"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if path == Path(__file__):
                continue
            noqa = re.search(r"# noqa(?P<rest>.*)", line)
            ignore = re.search(r"# type: ignore(?P<rest>.*)", line)
            if noqa and not re.match(r": [A-Z]+\d+(, ?[A-Z]+\d+)*\s+\W*\w+", noqa["rest"]):
                bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
            if ignore and not re.match(r"\[[a-z-, ]+\]\s+# \w+", ignore["rest"]):
                bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert bare == []


def test_locks_pin_every_version_with_hashes_and_without_addresses() -> None:
    locks = {name: _locked(name) for name in ("requirements.lock", "requirements-dev.lock")}
    assert locks["requirements.lock"].items() <= locks["requirements-dev.lock"].items()
    assert len(locks["requirements.lock"]) > 30


def _locked(name: str) -> dict[str, str]:
    """Return package -> version; every line must be a pin or a hash of the pin above it."""
    pins: dict[str, str] = {}
    hashed: set[str] = set()
    package = ""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.removesuffix("\\").strip()
        if pin := re.fullmatch(r"([a-z0-9][a-z0-9._-]*)==([^\s;]+)( ; .+)?", text):
            package = pin[1]
            pins[package] = pin[2]
        elif re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text):
            hashed.add(package)
        else:
            assert text.startswith("#") or not text, f"{name}: {line}"
            assert "://" not in text
    assert hashed == set(pins)
    return pins


def test_every_dependency_is_used_where_decision_1_says_so() -> None:
    decision = (ROOT / "docs" / "adr" / "0001-dependencies.md").read_text(encoding="utf-8")
    modules = {"faust-streaming": "faust"}
    data_only = {"tzdata"}
    names = {re.split(r"[\[<>=]", text)[0] for text in project()["project"]["dependencies"]}
    imported = {name for path in sources(*ROOMS) for name in _imports(path)}
    assert [name for name in sorted(names) if f"| {name}" not in decision] == []
    assert {
        name for name in names - data_only if modules.get(name, name.replace("-", "_")) not in imported
    } == set()


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("streams", "import faust"),
        ("streams", "import aiohttp"),
        ("streams", "from agents import x"),
        ("agents", "from dashboards import x"),
        ("replay", "from agents import x"),
        ("dashboards", "from warroom import x"),
    ],
)
def test_the_import_rule_refuses_what_a_room_may_not_touch(room: str, line: str, tmp_path: Path) -> None:
    done = _lint_imports(tmp_path, {room: f"{line}\n"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout


def test_the_import_rule_lets_the_core_and_the_joining_package_be_imported(tmp_path: Path) -> None:
    rooms = {"agents": "from streams import x\nimport faust\n", "warroom": "from agents import x\n"}
    assert _lint_imports(tmp_path, rooms).returncode == 0


def _lint_imports(folder: Path, rooms: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Check the project's contracts on rooms of one line each."""
    for name in ROOMS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(rooms.get(name, "x = 1\n"), encoding="utf-8")
    program = str(Path(sys.executable).with_name("lint-imports"))
    return subprocess.run(
        [program, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "line", ["import time\n\ntime.time()", "from datetime import datetime\n\ndatetime.now()", "import random"]
)
def test_a_clock_or_a_random_source_is_refused_in_streams_only(line: str) -> None:
    assert "TID251" in _ruff(line, "streams/x.py")
    assert "TID251" not in _ruff(line, "agents/x.py")


def _ruff(text: str, name: str) -> str:
    command = [
        str(Path(sys.executable).with_name("ruff")),
        "check",
        "--no-cache",
        "--stdin-filename",
        name,
        "-",
    ]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "tools").glob("*.sh")))
def test_scripts_can_be_run_and_read_by_a_plain_shell(script: str) -> None:
    path = ROOT / "tools" / script
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
