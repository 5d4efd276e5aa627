"""The judge can be wrong in no direction that matters: a promise that is not kept is found out."""

import dataclasses
from typing import Any

import pytest

from chaos import trial as trial_module
from chaos.catalogue import CATALOGUE
from chaos.guarantees import Promise, PromiseError, read_promises
from chaos.trial import try_case
from chaos.truth import Truth
from chaos.witness import Witness
from simulator.faults import Plan

PROMISES = read_promises()


ARM = Plan.arm


def arm_both(plan: Plan, script: list[dict[str, Any]], now_ns: int) -> None:
    """Arm the fault for another topic as well."""
    ARM(plan, [*script, *({**entry, "topic": "tickers.*"} for entry in script)], now_ns)


def failures(name: str, seed: int = 1, **changed: Any) -> str:
    promise = dataclasses.replace(PROMISES[name], **changed)
    return "\n".join(try_case(CATALOGUE[name], promise, seed).failures)


def test_a_gap_that_is_not_promised_is_a_failure() -> None:
    assert "gap sequence of" in failures("drop.book", outcomes=())


def test_a_gap_that_does_not_come_is_a_failure() -> None:
    assert "expected gap sequence" in failures("duplicate.book", outcomes=(("gap", ("sequence",)),))


def test_noticing_too_late_is_a_failure() -> None:
    assert "expected gap disconnect within 5" in failures("half_open.connection", within_s=5.0)


def test_coming_back_too_late_is_a_failure() -> None:
    assert "not in step 0.0 s after" in failures("cable_cut.connection", back_s=0.0)


def test_a_gap_of_another_topic_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "topics_of_kind", lambda kind, topics, deep: ["publicTrade.BTCUSDT"])
    monkeypatch.setattr(Plan, "arm", arm_both)
    assert "which the fault did not touch" in failures("truncated.trades")


def test_a_wrong_book_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(truth: Truth, topic: str, update_id: int) -> tuple[dict[Any, Any], dict[Any, Any]]:
        return {}, {}

    monkeypatch.setattr(Truth, "book", wrong)
    assert "differs from the venue's book" in failures("respelled.book")


def test_a_loss_without_a_row_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gap = Witness.on_gap

    def forgetful(witness: Witness, gap: Any) -> None:
        on_gap(witness, gap)
        witness.ledger.clear()

    monkeypatch.setattr(Witness, "on_gap", forgetful)
    assert "neither recorded nor in the ledger" in failures("cable_cut.connection", seed=2)


def test_an_undetectable_fault_is_found_by_the_judge_where_the_engine_cannot() -> None:
    case = dataclasses.replace(CATALOGUE["respelled.book"], fault="changed_digit")
    trial = try_case(case, PROMISES["respelled.book"], 1)
    assert any("differs from the venue's book" in failure for failure in trial.failures)


@pytest.mark.parametrize("name", ["drop.book", "cable_cut.connection", "handshake_hangs.connection"])
def test_the_same_seed_gives_the_same_log_byte_for_byte(name: str) -> None:
    first, second, other = (try_case(CATALOGUE[name], PROMISES[name], seed) for seed in (7, 7, 8))
    assert first.log == second.log
    assert first.log != other.log


def row(*cells: str) -> str:
    head = "| fault | topics | noticed by | within | becomes | in step again |\n|---|---|---|---|---|---|\n"
    return head + "| " + " | ".join(cells) + " |\n"


def test_a_row_is_read() -> None:
    text = row("`a`", "book, level1", "x", "1.5 s", "gap `p` or `q`, counted `n`", "2 s")
    promises = read_promises(text)
    assert promises["a.book"] == Promise("a", "book", (("gap", ("p", "q")), ("counted", ("n",))), 1.5, 2.0)
    assert list(promises) == ["a.book", "a.level1"]


@pytest.mark.parametrize(
    "cells",
    [
        ("`a`", "book", "x", "1 s", "gap `p`"),
        ("`a`", "book", "x", "1 s", "all is well", "2 s"),
        ("`a`", "book, book", "x", "1 s", "nothing lost", "2 s"),
        ("`a`", "shelf", "x", "1 s", "nothing lost", "2 s"),
        ("`a`", "book", "x", "soon", "nothing lost", "2 s"),
    ],
)
def test_a_row_that_says_nothing_is_an_error(cells: tuple[str, ...]) -> None:
    with pytest.raises(PromiseError):
        read_promises(row(*cells))
