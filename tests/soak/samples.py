"""What processes hold over time, from /proc, and whether it grows."""

import os
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GROWTH_SHARE_MAX = 0.10
# What may be more at the end than after warming up, beside a tenth: caches, and merges under way.
GROWTH_MAX = {"rss_bytes": 32 << 20, "descriptors": 24, "threads": 8}


class Samples:
    """Samples of processes by name."""

    def __init__(self) -> None:
        self._found: dict[str, list[dict[str, float]]] = defaultdict(list)

    def take(self, elapsed_s: float, pids: Mapping[str, int]) -> None:
        """Look at each process now; one that has just ended has no sample."""
        for name, pid in pids.items():
            try:
                found = _look(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            self._found[name].append({"elapsed_s": elapsed_s, **found})

    def judged(self, warm_up_s: float) -> dict[str, Any]:
        """By process and quantity: median of the first and last third once warm, slope a minute."""
        return {
            name: {quantity: _judge(samples, quantity, warm_up_s) for quantity in GROWTH_MAX}
            for name, samples in self._found.items()
        }

    def growing(self, warm_up_s: float) -> list[str]:
        """What grows, one line each."""
        return [
            f"{name}: {quantity} grew from {one['first']:.0f} to {one['last']:.0f}"
            for name, found in self.judged(warm_up_s).items()
            for quantity, one in found.items()
            if one["last"] > one["first"] * (1 + GROWTH_SHARE_MAX) + GROWTH_MAX[quantity]
        ]


def _look(pid: int) -> dict[str, float]:
    process = Path("/proc") / str(pid)
    return {
        "rss_bytes": int((process / "statm").read_text().split()[1]) * PAGE_BYTES,
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
    }


def _judge(samples: list[dict[str, float]], quantity: str, warm_up_s: float) -> dict[str, float]:
    warm = [one for one in samples if one["elapsed_s"] >= warm_up_s] or samples
    times = [one["elapsed_s"] / 60 for one in warm]
    values = [one[quantity] for one in warm]
    third = max(1, len(values) // 3)
    is_line = len(set(times)) > 1
    slope = statistics.linear_regression(times, values).slope if is_line else 0.0
    return {
        "first": statistics.median(values[:third]),
        "last": statistics.median(values[-third:]),
        "most": max(values),
        "slope_a_minute": slope,
    }
