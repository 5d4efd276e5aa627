"""``tapehead simulate``: the simulator, which is a process of its own and shares no code with us."""

import os
import sys

import typer

__all__ = ["CONTEXT", "simulate"]

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def simulate(context: typer.Context) -> None:
    """Serve a market like the venue's on this machine; `tapehead simulate --help` lists its options."""
    command = [sys.executable, "-m", "simulator", *context.args]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 (no shell; the arguments are the user's own)
