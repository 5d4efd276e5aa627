"""The measuring process: `python -m benchmarks.worker NAME` takes a spec on stdin, prints one JSON object."""

import json
import sys
from importlib import import_module


def main() -> None:
    spec = json.load(sys.stdin)
    facts = import_module(f"benchmarks.{sys.argv[1]}").work(spec)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
