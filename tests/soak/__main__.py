"""``python -m tests.soak``: record for an hour; memory must not grow, nothing may be lost."""

import argparse
import json
import os
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.soak.run import Outcome, soak
from tests.support.recordings import ROOT

RATE = 3_000  # book messages a second


def main() -> int:
    """Run, print what was found, one JSON object last with --json; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=RATE, help="book messages a second, of all symbols")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of another run")
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    options = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        outcome = soak(Path(folder), options.minutes, options.rate, options.seed)
    _tell(outcome)
    if options.json:
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
    return int(bool(outcome.failures))


def _tell(outcome: Outcome) -> None:
    sys.stdout.write(
        f"seed {outcome.seed}: {outcome.minutes:g} minutes, {outcome.frames:,} frames, {outcome.rows:,} rows"
        f" in {outcome.parts} parts (merged {outcome.merge_level_max} deep), {outcome.batches} batches,"
        f" segments {outcome.kept}, loader at most {outcome.lag_s_max:.1f} s behind\n"
    )
    for name, found in outcome.processes.items():
        for quantity, one in found.items():
            unit = 1 << 20 if quantity == "rss_bytes" else 1
            first, last, most, slope = (
                one[key] / unit for key in ("first", "last", "most", "slope_a_minute")
            )
            label = "RSS in MiB" if quantity == "rss_bytes" else quantity
            sys.stdout.write(
                f"  {name} {label}: {first:.1f} -> {last:.1f}, at most {most:.1f}, {slope:+.3f} a minute\n"
            )
    verdict = "; ".join(outcome.failures) or "flat, and nothing lost"
    sys.stdout.write(f"{verdict}\n")


if __name__ == "__main__":
    sys.exit(main())
