"""`make fuzz` in small: some cases of each target, and that a case that fails is named."""

from random import Random

import pytest

from tests.fuzz import driver

CASES = 15
# An engine is one folder's for as long as its process lives.
IN_A_PROCESS = {"sql"}


@pytest.mark.parametrize("name", sorted(driver.TARGETS.keys() - IN_A_PROCESS))
def test_cases(name: str, random: Random) -> None:
    seed = random.getrandbits(31)
    for case in range(CASES):
        print(driver.again(name, seed, case))
        driver.run_case(name, seed, case)


@pytest.mark.parametrize("name", sorted(IN_A_PROCESS))
def test_cases_in_a_process(name: str, random: Random) -> None:
    found = driver.fuzz(name, random.getrandbits(31), 0, CASES, seconds=60)
    assert found["cases"] == CASES
    assert found["failed"] == 0


def test_a_case_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails_sometimes(random: Random) -> None:
        assert random.random() < 0.8

    monkeypatch.setattr(driver, "TARGETS", {"some": fails_sometimes})
    shared = [0, 0]
    driver.run_target("some", 3, 0, 20, float("inf"), shared)
    assert shared[1] > 0
    said = capsys.readouterr().out
    numbers = [int(line.split()[2].rstrip(":")) for line in said.splitlines() if line.startswith("some case")]
    for number in numbers:
        assert driver.again("some", 3, number) in said
        with pytest.raises(AssertionError):
            driver.run_case("some", 3, number)
