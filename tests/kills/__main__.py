"""``python -m tests.kills``: kills at random moments, by the hundred."""

import argparse
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.kills.trial import Outcome, run_trial
from tests.support.recordings import ROOT

KILLS_A_TRIAL = 25


def said(outcomes: Sequence[Outcome]) -> str:
    """Return what was found as one JSON object."""
    return json.dumps({"trials": [vars(one) for one in outcomes]})


def main() -> int:
    """Run, print what was found, one JSON object last with --json; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500, help="kills in all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of another run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    options = parser.parse_args()
    os.chdir(ROOT)
    outcomes: list[Outcome] = []
    left = options.rounds
    while left > 0:
        seed = options.seed + len(outcomes)
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            outcome = run_trial(Path(folder), seed, min(left, KILLS_A_TRIAL))
        left -= KILLS_A_TRIAL
        outcomes.append(outcome)
        verdict = "; ".join(outcome.failures) or "all there, once"
        sys.stdout.write(
            f"seed {seed}: {dict(outcome.kills)} killed, {outcome.seen} messages seen, {outcome.rows} rows,"
            f" {outcome.lost_in_gaps} lost and in the ledger: {verdict}\n"
        )
        sys.stdout.flush()
    if options.json:
        sys.stdout.write(said(outcomes) + "\n")
    return int(any(one.failures for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
