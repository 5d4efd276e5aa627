"""What is refused before the compiled core is loaded."""

import subprocess
import sys
import tomllib
from pathlib import Path

import picows.version
import pytest

import engine
from engine import _checks

ROOT = Path(__file__).resolve().parents[2]


def test_every_public_name_is_there() -> None:
    assert sorted(engine.__all__) == engine.__all__
    assert all(getattr(engine, name) is not None for name in engine.__all__)


def test_the_pinned_picows_is_the_one_the_project_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pin = f"picows=={_checks.PICOWS_VERSION}"
    assert pin in project["build-system"]["requires"]
    assert pin in project["project"]["dependencies"]


def test_another_picows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picows.version, "__version__", "9.9.9")
    with pytest.raises(ImportError, match=r"picows was 9\.9\.9, expected .*: pip install picows=="):
        _checks.check_picows()


def test_a_free_threaded_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: name == "Py_GIL_DISABLED")
    with pytest.raises(ImportError, match="free-threaded"):
        _checks.check_interpreter()


def imported_behind(folder: Path) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]; import engine"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, check=False
    )


def test_an_ext_of_somebody_else_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "ext"
    package.mkdir()
    (package / "__init__.py").write_text("")
    ended = imported_behind(tmp_path)
    assert ended.returncode == 1
    assert f"the import name 'ext' belongs to {package}" in ended.stderr


def test_a_folder_that_happens_to_be_called_ext_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "ext").mkdir()
    ended = imported_behind(tmp_path)
    assert ended.returncode == 0, ended.stderr
