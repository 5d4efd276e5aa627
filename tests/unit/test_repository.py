"""Rules of the house that a machine can hold: one version, imports one way, nothing unfinished."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import recorder

ROOT = Path(__file__).resolve().parents[2]

# Who may import what of ours.
ALLOWED = {
    "ext": {"ext"},
    "engine": {"ext", "engine"},
    "recorder": {"ext", "engine", "recorder", "chaos"},
    "simulator": {"simulator"},
    "chaos": {"ext", "engine", "simulator", "chaos"},
}
SUFFIXES = {".py", ".pyx", ".pxd", ".pyi", ".h", ".sql", ".md", ".toml", ".sh", ""}
LINES_MAX = 500
TEST_LINES_MAX = 600
CORE_LINES_MAX = 900


def tracked() -> list[Path]:
    """Return the files of the project: those git knows, or all where there is no git."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: git ls-files failed")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if path.suffix in SUFFIXES and path.name != "requirements.txt":
            yield path, path.read_text(encoding="utf-8")


def test_the_version_stands_in_one_place_and_in_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "recorder.__version__"}
    top = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert top is not None
    assert top[1].split()[0] in ("Unreleased", recorder.__version__)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_go_one_way(room: str) -> None:
    sources = [
        path
        for path in tracked()
        if path.is_relative_to(ROOT / room) and path.suffix in {".py", ".pyx", ".pxd", ".pyi"}
    ]
    assert sources
    for path in sources:
        for name in imported(path):
            first = name.partition(".")[0]
            assert first not in ALLOWED or first in ALLOWED[room], f"{path.relative_to(ROOT)} imports {name}"


def imported(path: Path) -> set[str]:
    """Return the modules that a source names, in Python or in Cython."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        nodes = list(ast.walk(ast.parse(text)))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return set(re.findall(r"^\s*(?:from|cimport|import)\s+([\w.]+)", text, re.MULTILINE))


def test_no_path_of_a_machine() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:work|home|root|Users|farm)/|/tmp/(?!x\b)[a-z]")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path, text in texts() if (match := pattern.search(text))
    ]
    assert [line for line in found if not line.startswith("tests/unit/test_repository.py")] == []
    files = tracked()
    assert not [path for path in files if path.is_symlink() and path.resolve() not in files]


def test_nothing_unfinished() -> None:
    pattern = re.compile(
        r"\b(?:TODO|FIXME|XXX)\b|except(?: Exception)?:\s*pass"
        r"|# type: ignore\s*$|# noqa\s*$",
        re.MULTILINE,
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path, text in texts() if (match := pattern.search(text))
    ]
    assert [line for line in found if not line.startswith("tests/unit/test_repository.py")] == []


def test_files_have_one_job() -> None:
    for path, text in texts():
        if path.suffix == ".py":
            is_test = path.is_relative_to(ROOT / "tests")
            assert text.count("\n") <= (TEST_LINES_MAX if is_test else LINES_MAX), path
        elif path.suffix == ".pyx":
            assert text.count("\n") <= CORE_LINES_MAX, path


def test_every_package_is_shipped() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in tracked()
        if path.name == "__init__.py" and path.relative_to(ROOT).parts[0] in ALLOWED
    }
    assert there == set(listed)


def test_every_make_target_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}:.*## ", text, re.MULTILINE), target


def test_the_continuous_integration_runs_the_checks_and_the_tests() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert "make check" in text
    assert "make test" in text
    assert "make test" in (ROOT / "README.md").read_text()
