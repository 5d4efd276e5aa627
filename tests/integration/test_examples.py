"""The examples run as their first lines say, against the simulator."""

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.loops import run
from tests.support.market import SpoolMaker, make_market
from tests.support.simulator_process import simulated

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


async def first_lines(program: Path, count: int, cwd: Path) -> list[str]:
    """Run an example against a simulator until it printed so many lines, then press Ctrl-C."""
    async with simulated("--rate", "200") as simulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            simulator.ws,
            stdout=subprocess.PIPE,
            cwd=cwd,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode() for _ in range(count)]
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == 0
        return lines


def test_quotes(tmp_path: Path) -> None:
    lines = run(first_lines(EXAMPLES / "quotes.py", 50, tmp_path), timeout_s=60)
    assert {line.split()[0] for line in lines} == {"BTCUSDT", "ETHUSDT"}


def test_replay(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "data" / "spool")
    make_market(maker, 20)
    maker.disconnect("lost")
    maker.close()
    command = [sys.executable, str(EXAMPLES / "replay.py"), str(tmp_path / "data")]
    answer = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-2:] == ["orderbook.50.AAAUSDT 0.2", "orderbook.50.BBBUSDT 0.2"]
    assert "disconnect" in answer.stdout


@pytest.mark.timeout(240)
def test_a_listener_compiled_in_a_folder_of_its_own(tmp_path: Path) -> None:
    for name in ("imbalance.pyx", "imbalance_run.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    build = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-3", "imbalance.pyx"]
    subprocess.run(
        build,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "CFLAGS": "-O0"},
        check=True,
    )
    lines = run(first_lines(tmp_path / "imbalance_run.py", 3, tmp_path), timeout_s=60)
    assert all("updates, bids are" in line for line in lines)
    assert not lines[-1].startswith("0 ")
