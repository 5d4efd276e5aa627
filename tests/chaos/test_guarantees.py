"""Each row of docs/guarantees.md, brought about in virtual time; `make chaos` takes more seeds."""

import pytest

from chaos.catalogue import CATALOGUE
from chaos.guarantees import read_promises
from chaos.suite import check_names
from chaos.trial import try_case

SEEDS = (1, 2)
PROMISES = read_promises()


def test_table_and_catalogue_name_the_same_faults() -> None:
    check_names()


def test_there_are_at_least_sixty_faults() -> None:
    assert len(CATALOGUE) >= 60
    assert len({case.fault for case in CATALOGUE.values()}) >= 60


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PROMISES)
def test_promise(name: str, seed: int) -> None:
    trial = try_case(CATALOGUE[name], PROMISES[name], seed)
    assert not trial.failures, f"tapehead chaos --only {name} --first {seed} --seeds 1 --log"
