"""Runs cases by number for so many seconds; what fails is named with how to run it again."""

import argparse
import json
import multiprocessing
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.fuzz import answers, frames, spool, sql

Target = Callable[[Random], None]
TARGETS: Mapping[str, Target] = {
    "oracle": frames.oracle,
    "both_ways": frames.both_ways,
    "out_of_bounds": frames.out_of_bounds,
    "session": answers.session,
    "spool": spool.damaged_segment,
    "sql": sql.admitted,
    "compressed": spool.damaged_compressed,
}
FAILURES_MAX = 5


def run_case(name: str, seed: int, case: int) -> None:
    """Run one case; raises what it finds."""
    TARGETS[name](Random(f"{name}:{seed}:{case}"))


def run_target(name: str, seed: int, first: int, cases: int, until_s: float, shared: Any) -> None:
    """Run cases until the time is up; `shared` holds the case under way and how many failed."""
    for case in range(first, first + cases):
        if time.monotonic() > until_s:
            break
        shared[0] = case
        try:
            run_case(name, seed, case)
        except Exception:  # noqa: BLE001 (whatever a case raises is what is looked for)
            shared[1] += 1
            sys.stdout.write(f"{name} case {case}:\n{traceback.format_exc()}{again(name, seed, case)}\n")
            if shared[1] >= FAILURES_MAX:
                break
    sys.stdout.flush()


def again(name: str, seed: int, case: int) -> str:
    """Say how to run a case again."""
    return f"again: python -m tests.fuzz --only {name} --seed {seed} --first {case} --cases 1"


def fuzz(name: str, seed: int, first: int, cases: int, seconds: float) -> dict[str, Any]:
    """Run a target in a process of its own, which a read out of bounds would end."""
    context = multiprocessing.get_context("spawn")
    shared = context.Array("q", [first, 0])
    arguments = (name, seed, first, cases, time.monotonic() + seconds, shared)
    process = context.Process(target=run_target, args=arguments)
    process.start()
    process.join()
    failed = shared[1]
    if process.exitcode:
        failed += 1
        sys.stdout.write(
            f"{name} ended its process with {process.exitcode}\n{again(name, seed, shared[0])}\n"
        )
    return {"name": name, "passed": not failed, "cases": shared[0] - first + 1, "failed": failed}


def main(arguments: list[str] | None = None) -> int:
    """Fuzz what was asked for; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="altogether")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of another run")
    parser.add_argument("--only", choices=list(TARGETS), help="one target")
    parser.add_argument("--first", type=int, default=0, help="the first case")
    parser.add_argument("--cases", type=int, default=10**9, help="how many cases of each target")
    options = parser.parse_args(arguments)
    names = [options.only] if options.only else list(TARGETS)
    sys.stdout.write(f"seed {options.seed}\n")
    results = []
    for name in names:
        results.append(fuzz(name, options.seed, options.first, options.cases, options.seconds / len(names)))
        sys.stdout.write(f"{name}: {results[-1]['cases']} cases, {results[-1]['failed']} failed\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps({"seed": options.seed, "targets": results}) + "\n")
    return int(any(result["failed"] for result in results))
