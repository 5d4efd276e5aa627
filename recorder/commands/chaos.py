"""``tapehead chaos``: every fault of docs/guarantees.md, brought about and held against its promise."""

import logging
from typing import Annotated

import typer

from engine.errors import ConfigError, nearest
from recorder.commands.options import AsJson
from recorder.errors import ExitCode
from recorder.output import Output

__all__ = ["chaos"]

Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds each fault is tried with.")]
First = Annotated[int, typer.Option("--first", min=1, help="The first seed.")]
Only = Annotated[
    str, typer.Option("--only", metavar="NAME", help="Faults whose name contains this, as in drop.book.")
]
Log = Annotated[bool, typer.Option("--log", help="Print what happened in each trial, line by line.")]


def chaos(
    seeds: Seeds = 20, first: First = 1, only: Only = "", log: Log = False, as_json: AsJson = False
) -> int:
    """Try every fault in virtual time: is it noticed, is the book ever wrong, does everything come back?

    The same seed gives the same trial. A fault that fails is shown with its seed and how to run it again.
    """
    from chaos.catalogue import CATALOGUE  # loads the simulator, which no other command needs
    from chaos.suite import run_suite

    names = [name for name in CATALOGUE if only in name]
    if not names:
        similar = nearest(only, list(CATALOGUE)) or ("drop.book",)
        raise ConfigError("only", only, "is part of no fault's name", "use " + " or ".join(similar))
    # Faults inside callbacks are part of the exercise; what comes of them is in the table.
    logging.getLogger("tapehead").addHandler(logging.NullHandler())
    output = Output(as_json=as_json)
    output.say(f"{len(names)} faults, {seeds} seeds each, from seed {first}")
    results = []
    for result in run_suite(names, range(first, first + seeds), output.say if log else None):
        results.append(result)
        for trial in result.failed:
            output.say(f"{result.name} failed with seed {trial.seed}: {'; '.join(trial.failures)}")
            output.say(f"  again: tapehead chaos --only {result.name} --first {trial.seed} --seeds 1 --log")
    output.table(
        ["fault", "passed", "seeds", "noticed s", "in step s"],
        [
            [one.name, "yes" if one.passed else "NO", one.seeds, f"{one.noticed_s:.1f}", f"{one.back_s:.1f}"]
            for one in results
        ],
        right=["seeds", "noticed s", "in step s"],
    )
    failed = [one.name for one in results if not one.passed]
    output.say(f"{len(results) - len(failed)} of {len(results)} faults passed")
    output.result(
        {"faults": [{"name": one.name, "passed": one.passed, "seeds": one.seeds} for one in results]}
    )
    return ExitCode.CHECK_FAILED if failed else ExitCode.OK
