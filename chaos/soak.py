"""The long runs one after the other, each bounded in time."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from chaos.changes import legs_cut, symbols_come_and_go
from chaos.frames import clean_frames, detectable_faults
from chaos.outcome import Outcome
from chaos.reconnects import reconnects, times_to_book

__all__ = ["FULL", "SHORT", "soak"]

Run = Callable[[int], Outcome]
CLEAN_S_MAX: Final = 480.0

FULL: Final[tuple[Run, ...]] = (
    lambda seed: detectable_faults(100_000, seed),
    lambda seed: clean_frames(10_000_000, seed, CLEAN_S_MAX),
    lambda seed: times_to_book(500, seed),
    lambda seed: reconnects(1_000, seed),
    lambda seed: symbols_come_and_go(100, seed),
    lambda seed: legs_cut(100, seed),
)
SHORT: Final[tuple[Run, ...]] = (
    lambda seed: detectable_faults(2_000, seed),
    lambda seed: clean_frames(100_000, seed),
    lambda seed: times_to_book(20, seed),
    lambda seed: reconnects(20, seed),
    lambda seed: symbols_come_and_go(5, seed),
    lambda seed: legs_cut(5, seed),
)


def soak(runs: tuple[Run, ...], seed: int) -> Iterator[Outcome]:
    """Do the runs; each outcome says how long it took."""
    for run in runs:
        began_s = time.monotonic()
        outcome = run(seed)
        outcome.figures["took_s"] = round(time.monotonic() - began_s, 1)
        yield outcome
