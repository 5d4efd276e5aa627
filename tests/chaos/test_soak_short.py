"""`make soak` in small: the same runs, less of everything; and that each can fail."""

from random import Random

import pytest

from chaos import frames
from chaos.bulk import Message, Strip
from chaos.outcome import Outcome
from chaos.reconnects import reconnects, times_to_book
from chaos.soak import SHORT


@pytest.mark.parametrize("number", range(len(SHORT)))
def test_run(number: int, random: Random) -> None:
    outcome = SHORT[number](random.getrandbits(31))
    print(outcome)
    assert not outcome.failures


def test_a_fault_that_is_not_noticed_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def harmless(strip: Strip, last: Message) -> list[bytes]:
        return [strip.delta().frame]

    monkeypatch.setattr(frames, "FAULTS", {"harmless": harmless})
    assert "was not noticed" in frames.detectable_faults(10, 1).failures[0]


def test_a_gap_in_clean_frames_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Strip.snapshot

    def leaping(strip: Strip, update_id: int | None = None) -> Message:
        strip.update_id += update_id is None
        return snapshot(strip, update_id)

    monkeypatch.setattr(Strip, "snapshot", leaping)
    assert "no other" in frames.clean_frames(20_000, 1).failures[0]


def test_a_wrong_book_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strip, "checksum", 0)
    assert any("a wrong book" in failure for failure in frames.clean_frames(20_000, 1).failures)


def test_a_slow_way_back_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos.reconnects.TO_BOOK_S", 0.01)
    assert "p99 was" in times_to_book(5, 1).failures[0]


def test_growth_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = iter(range(1000))
    names = ("descriptors", "tasks", "memory_bytes")
    monkeypatch.setattr("chaos.reconnects._state", lambda: dict.fromkeys(names, next(growing)))
    assert len(reconnects(5, 1).failures) == 2


def test_only_so_many_failures_are_kept() -> None:
    outcome = Outcome("x")
    for number in range(100):
        outcome.fail(str(number))
    assert len(outcome.failures) == 10
