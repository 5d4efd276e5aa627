"""Real processes for tests: the simulator and `tapehead record`, all waits with a time limit."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.folder import DataFolder
from tests.support.waiting import is_readable

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0
POLL_S = 0.05


def until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait for another process to bring something about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        select.select([], [], [], POLL_S)


@dataclass(slots=True)
class Simulation:
    """A running simulator."""

    process: subprocess.Popen[str]
    ws: str
    rest: str

    def get(self, path: str, **query: object) -> Any:
        url = f"{self.rest}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def frames(self) -> int:
        """How many frames it has sent so far."""
        return int(self.get("/simulator/state")["frames"])

    def wait_done(self, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Wait until it has sent all of its data."""
        answer: dict[str, Any] = json.loads(read_line(self.process, timeout_s))
        return answer


def read_line(process: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    assert is_readable(process.stdout, timeout_s), f"no line within {timeout_s} s from {process.args!r}"
    line = process.stdout.readline()
    assert line, f"{process.args!r} ended: {process.poll()}"
    return line


@contextmanager
def simulation(*options: str) -> Iterator[Simulation]:
    """Run `python -m simulator` with these options."""
    command = [sys.executable, "-m", "simulator", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = json.loads(read_line(process))
            yield Simulation(process, ready["ws"], ready["rest"])
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@dataclass(slots=True)
class Recording:
    """A running `tapehead record --json`."""

    process: subprocess.Popen[str]
    folder: DataFolder

    def frames(self) -> int:
        """How many frames capture has counted so far."""
        return int(self.folder.read_status("capture").get("frames", 0))

    def wait_captured(self, frames: Callable[[], int]) -> None:
        """Wait until capture has counted as many frames as were sent."""
        until(lambda: self.frames() >= frames() > 0, "all frames captured")

    def stop(self) -> dict[str, Any]:
        """End it as a service manager would, and return its JSON object."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, out
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return answer


@contextmanager
def recording(venue: Simulation, data: Path, *options: str) -> Iterator[Recording]:
    """Run `tapehead record` against a simulator."""
    where = ("--url", venue.ws, "--rest-url", venue.rest, "--data", str(data))
    command = [sys.executable, "-m", "recorder", "record", *options, *where, "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Recording(process, DataFolder(data))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(TIMEOUT_S)


def tapehead(*arguments: str, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [sys.executable, "-m", "recorder", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


def wait_gone(pid: int, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert is_readable(descriptor, timeout_s), f"process {pid} still runs after {timeout_s} s"
    finally:
        os.close(descriptor)
