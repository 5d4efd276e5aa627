"""A short trial of tests/orders_chaos, and its judge on lines that are wrong in each way it knows."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.orders_chaos.judge import contradictions, differences, duplicates, excesses, leftovers
from tests.orders_chaos.trial import run_trial


@pytest.mark.timeout(240)
def test_client_and_exchange_agree_after_faults_and_kills(tmp_path: Path) -> None:
    outcome = asyncio.run(run_trial(tmp_path, seed=1, orders=40, kills=2))
    assert outcome.failures == []
    assert outcome.kills == 2
    assert outcome.sent > 30  # of 40 wants: those of a client that is killed may not have been sent
    assert outcome.states["UNKNOWN"] > 0
    assert {"ack_lost", "accepted_late"} & set(outcome.faults)


def sent(want: int, link: str) -> dict[str, Any]:
    return {"what": "sent", "want": want, "link": link}


def order(
    link: str, status: str = "New", number: str = "", side: str = "Buy", left: str = "1"
) -> dict[str, Any]:
    return {
        "what": "order",
        "orderLinkId": link,
        "orderId": number or f"id-{link}",
        "status": status,
        "side": side,
        "left": left,
    }


def fill(link: str, qty: str) -> dict[str, Any]:
    return {
        "what": "fill",
        "orderLinkId": link,
        "orderId": f"id-{link}",
        "execType": "Trade",
        "side": "Buy",
        "qty": qty,
    }


def test_a_duplicate_is_found() -> None:
    notes = [sent(1, "a"), sent(1, "b"), sent(2, "c")]
    assert list(duplicates(notes, [order("a"), order("c")])) == []
    assert list(duplicates(notes, [order("a"), order("b")])) == ["want 1 was placed 2 times: ['a', 'b']"]
    assert list(duplicates(notes, [order("c", number="1"), order("c", number="2")])) == ["c is 2 orders"]
    assert list(duplicates(notes, [order("d")])) == ["d was placed and nobody noted that"]
    assert list(duplicates([*notes, sent(3, "c")], [])) == ["c was given to 2 intents"]


@pytest.mark.parametrize(
    ("state", "status", "is_right"),
    [
        ("NOT_PLACED", None, True),
        ("NOT_PLACED", "New", False),
        ("FILLED", "Filled", True),
        ("FILLED", "Cancelled", False),
        ("CANCELLED", None, False),
        ("LIVE", "Filled", True),
    ],
)
def test_what_was_said_for_good_is_held_against_the_log(
    state: str, status: str | None, is_right: bool
) -> None:
    notes = [{"what": "state", "link": "a", "state": state}]
    found = list(contradictions(notes, [order("a", status)] if status else []))
    assert (found == []) is is_right


def test_an_exposure_above_its_limit_is_found() -> None:
    log = [order("a"), fill("a", "1"), order("a", "Filled", left="0"), order("b")]
    assert list(excesses(log, Decimal(2), 1)) == []
    assert list(excesses(log, Decimal(1), 1)) == ["line 3: 1 held, 1 bid, 0 offered: above 1"]
    assert list(excesses([order("a"), order("b")], Decimal(9), 1)) == [
        "line 1: 2 orders are open, more than 1"
    ]


def test_an_order_that_nobody_cancelled_is_found() -> None:
    notes = [sent(1, "a"), sent(-1, "b")]
    assert list(leftovers(notes, {"live": [{"orderLinkId": "b"}]})) == []
    assert len(list(leftovers(notes, {"live": [{"orderLinkId": "a"}]}))) == 1


def test_an_account_that_differs_is_found() -> None:
    told = {
        "what": "account",
        "live": {"a": ["1", "5", "0.5"]},
        "known": {"a": ["LIVE", "0.5"]},
        "position": "0.5",
        "balance": "10",
    }
    row = {"orderLinkId": "a", "qty": "1", "price": "5", "cumExecQty": "0.50"}
    exchange = {"live": [row], "positions": [{"size": "0.5"}], "balances": {"USDT": "10.0"}}
    log = [order("a"), fill("a", "0.5")]
    assert list(differences([told], log, exchange)) == []
    for change in (
        {"live": {}},
        {"known": {"a": ["LIVE", "1"]}},
        {"position": "0"},
        {"balance": "9"},
    ):
        assert len(list(differences([told | change], log, exchange))) == 1
    assert list(differences([], log, exchange)) == ["the client told 0 times how it ended"]
