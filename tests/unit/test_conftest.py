"""The guard in tests/conftest.py, tried out on a small suite of its own."""

import subprocess
import sys
from pathlib import Path

SUITE = """
import asyncio

import pytest
import uvloop


async def fail_in_callback():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_loop(run):
    run(fail_in_callback())


def test_unraisable():
    class Bad:
        def __del__(self):
            raise ValueError("lost")

    Bad()


def test_provoked(unhandled):
    asyncio.run(fail_in_callback())
    assert len(unhandled) == 1
    unhandled.clear()


def test_good(random):
    print("drawn:", random.random())
    asyncio.run(asyncio.sleep(0))
"""


def run_suite(folder: Path) -> str:
    (folder / "conftest.py").write_text(Path(__file__).parents[1].joinpath("conftest.py").read_text())
    (folder / "test_suite.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-rA",
        "--hypothesis-seed=7",
        str(folder),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False).stdout


def test_errors_that_nobody_handles_fail_the_test(tmp_path: Path) -> None:
    output = run_suite(tmp_path)
    assert output.count("errors that nobody handled") >= 3, output
    for name in ("test_loop[run0]", "test_loop[run1]", "test_unraisable"):
        assert f"ERROR test_suite.py::{name}" in output, output
    for name in ("test_provoked", "test_good"):
        assert f"ERROR test_suite.py::{name}" not in output, output
    assert "5 passed, 3 errors" in output, output


def test_the_seed_is_printed_and_repeats_the_numbers(tmp_path: Path) -> None:
    first, second = run_suite(tmp_path), run_suite(tmp_path)
    assert "--hypothesis-seed=7" in first
    drawn = [line for line in first.splitlines() if line.startswith("drawn:")]
    assert len(drawn) == 1
    assert drawn[0] in second
