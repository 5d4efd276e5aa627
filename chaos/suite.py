"""All trials of a selection of faults, and what came of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from chaos.catalogue import CATALOGUE
from chaos.guarantees import PromiseError, read_promises
from chaos.trial import Trial, try_case

__all__ = ["SEEDS", "Result", "check_names", "run_suite"]

SEEDS: Final = 20


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a fault with all its seeds."""

    name: str
    seeds: int
    failed: tuple[Trial, ...]
    noticed_s: float
    back_s: float

    @property
    def passed(self) -> bool:
        """Whether every promise was kept with every seed."""
        return not self.failed


def check_names() -> None:
    """Raise PromiseError where the table and the catalogue do not name the same faults."""
    promised, known = set(read_promises()), set(CATALOGUE)
    if promised != known:
        raise PromiseError(
            f"only in docs/guarantees.md: {sorted(promised - known)}; "
            f"only in the catalogue: {sorted(known - promised)}"
        )


def run_suite(
    names: Iterable[str], seeds: Iterable[int], told: Callable[[str], None] | None = None
) -> Iterator[Result]:
    """Try each fault with each seed; ``told`` hears what happened, line by line."""
    promises = read_promises()
    seeds = list(seeds)
    for name in names:
        trials = []
        for seed in seeds:
            trial = try_case(CATALOGUE[name], promises[name], seed)
            trials.append(trial)
            if told is not None:
                told(f"{name} seed {seed}\n{trial.log.decode()}")
        yield Result(
            name,
            len(seeds),
            tuple(trial for trial in trials if trial.failures),
            max(trial.noticed_s or 0.0 for trial in trials),
            max(trial.back_s or 0.0 for trial in trials),
        )
