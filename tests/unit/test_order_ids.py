"""orderLinkIds are never given twice, whatever happens to the process."""

from pathlib import Path

import pytest

from engine.errors import ConfigError, UsageError
from engine.orders.ids import LINK_ID_MAX, Intents, base36, next_boot


def test_every_start_and_every_intent_has_an_id_of_its_own(tmp_path: Path) -> None:
    given = set()
    for _ in range(5):
        intents = Intents("bot1", next_boot(tmp_path / "boots"))
        given |= {intents.next() for _ in range(100)}
    assert len(given) == 500
    assert all(intents.is_ours(link_id) for link_id in given)


def test_the_longest_id_is_one_that_the_venue_takes() -> None:
    longest = f"{'x' * 12}-{base36(36**6 - 1)}-{base36(36**7 - 1)}"
    assert len(longest) <= LINK_ID_MAX


def test_another_instance_is_not_us() -> None:
    assert not Intents("bot1", 1).is_ours("bot11-1-1")
    assert not Intents("bot1", 1).is_ours("")


@pytest.mark.parametrize("instance", ["", "a-b", "thirteenchars", "bö", "a b"])
def test_an_instance_that_cannot_be_in_an_id_is_refused(instance: str) -> None:
    with pytest.raises(ConfigError, match="1 to 12 letters and digits"):
        Intents(instance, 1)


@pytest.mark.parametrize("text", ["", "one", "-1", "1 2"])
def test_a_file_that_counts_no_starts_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boots"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no counter of starts"):
        next_boot(path)
    assert path.read_text() == text


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (35, "z"), (36, "10"), (36**3 - 1, "zzz")])
def test_numbers_in_base_36(number: int, text: str) -> None:
    assert base36(number) == text


def test_an_id_that_is_to_come_is_known() -> None:
    intents = Intents("bot1", 1)
    given = intents.next()
    assert [
        intents.is_to_come(one)
        for one in (given, "bot1-1-2", "bot1-1-Z", "bot1-1-", "bot1-1-a-b", "mine", "")
    ] == [
        *(False, True, True),
        *(False, False, False, False),
    ]
    assert intents.next() == "bot1-1-2"
    assert not intents.is_to_come("bot1-1-2")
