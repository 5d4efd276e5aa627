"""Runs each measurement in a process of its own and puts the numbers together.

A benchmark module has `work(spec)`, called in the measuring process (`python -m benchmarks.worker`); it
returns a dictionary. What is compared takes turns (A B C A B C ...): the machine's mood meets all.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
WORK_S_MAX: Final = 600

Facts = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What the command line sets: None stands for the benchmark's own default."""

    rounds: int | None = None
    messages: int | None = None
    depth: int | None = None
    quick: bool = False


class BenchmarkError(Exception):
    """A benchmark cannot be run as asked; the message says what to do."""


class WorkError(BenchmarkError):
    """A measuring process failed; the message has the end of what it wrote."""


def spawn(benchmark: str, spec: Mapping[str, Any], prefix: Sequence[str] = ()) -> Facts:
    """Call `benchmarks.<benchmark>.work(spec)` in a new process, after the command words of `prefix`."""
    command = [*prefix, sys.executable, "-m", "benchmarks.worker", benchmark]
    done = subprocess.run(
        command,
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=WORK_S_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise WorkError(f"{benchmark} {dict(spec)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    return facts


def cores() -> tuple[int, int]:
    """Return the (sending or helping, measuring) cores: the first and the last that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


@dataclass(frozen=True)
class Spread:
    """Rounds of one number."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def facts(self) -> Facts:
        return {"median": self.median, "min": self.low, "max": self.high}


def ratio(upper: Sequence[float], lower: Sequence[float]) -> Spread:
    """Divide round by round, so that only numbers taken beside each other are compared."""
    return Spread.of([a / b for a, b in zip(upper, lower, strict=True)])


def goal(text: str, value: float, limit: float, *, at_most: bool) -> Facts:
    reached = value <= limit if at_most else value >= limit
    return {"goal": text, "limit": limit, "at_most": at_most, "value": value, "reached": reached}


def versions(libraries: Sequence[str]) -> dict[str, str]:
    return {name: metadata.version(name) for name in sorted(set(libraries))}


def machine() -> Facts:
    """Describe where the numbers come from; the load average tells how quiet the machine was at the start."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average_1min": round(os.getloadavg()[0], 2),
    }


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
