"""``python -m chaos``: the long runs. The faults one by one are ``tapehead chaos``."""

import argparse
import json
import secrets
import sys

from chaos.soak import FULL, SHORT, soak

__all__: list[str] = []


def main() -> int:
    """Run, print what was found, one JSON object last; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**31), help="of another run, to repeat it"
    )
    parser.add_argument("--short", action="store_true", help="less of everything")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    outcomes = []
    for outcome in soak(SHORT if options.short else FULL, options.seed):
        outcomes.append(outcome)
        figures = ", ".join(f"{name} {value}" for name, value in outcome.figures.items())
        sys.stdout.write(f"{outcome.name}: {'FAILED' if outcome.failures else 'passed'}: {figures}\n")
        sys.stdout.writelines(f"    {failure}\n" for failure in outcome.failures)
        sys.stdout.flush()
    runs = [
        {"name": one.name, "passed": not one.failures, **one.figures, "failures": one.failures}
        for one in outcomes
    ]
    sys.stdout.write(json.dumps({"seed": options.seed, "runs": runs}) + "\n")
    return int(any(one.failures for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
