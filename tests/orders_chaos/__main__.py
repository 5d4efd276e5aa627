"""``python -m tests.orders_chaos``: a thousand orders through an exchange that fails, their client killed."""

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests.orders_chaos.trial import run_trial
from tests.support.recordings import ROOT


def main() -> int:
    """Run, print what was found, one JSON object last with --json; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.orders_chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000, help="wanted in all")
    parser.add_argument("--kills", type=int, default=20, help="of the client")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of another run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    options = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="orders-") as folder:
        outcome = asyncio.run(run_trial(Path(folder), options.seed, options.orders, options.kills))
    sys.stdout.write(
        f"seed {outcome.seed}: {outcome.sent} orders sent, {outcome.placed} placed, {outcome.kills} kills,"
        f" faults {dict(outcome.faults)}, states {dict(outcome.states)}:"
        f" {'; '.join(outcome.failures) or 'client and exchange agree'}\n"
    )
    if options.json:
        sys.stdout.write(json.dumps(vars(outcome)) + "\n")
    return int(bool(outcome.failures))


if __name__ == "__main__":
    sys.exit(main())
