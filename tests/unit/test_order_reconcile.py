"""What is asked by REST, when, and what the answers prove."""

from decimal import Decimal
from typing import Any

import pytest

from engine.bybit.order_codes import Verdict
from engine.orders.account import Account, Answer
from engine.orders.events import OrderEvent
from engine.orders.order import ORDER_RECV_WINDOW_MS, PROOF_MARGIN_MS, Order, State
from engine.orders.reconcile import (
    OVERLAP_MS,
    OWING_MS,
    RETRY_MS,
    WINDOW_MS,
    Ask,
    Reconciler,
    What,
    read_rows,
)
from tests.support.order_rows import SENT_MS, execution_row, intent, order_row, position_row

Asks = dict[What, Ask]


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def reconciler(account: Account) -> Reconciler:
    return Reconciler(account, ["linear"], SENT_MS)


def unknown(account: Account) -> Order:
    order = account.sending(intent(), SENT_MS, now_ms=0)
    account.unanswered(order, "timeout")
    return order


def searching(reconciler: Reconciler, now_ms: int) -> Asks:
    return {ask.what: ask for ask in reconciler.due(now_ms) if ask.order is not None}


def answer_all(reconciler: Reconciler, now_ms: int, **rows: list[Any]) -> list[Any]:
    """Answer what is due, with the rows given by the last word of the endpoint."""
    events = []
    for ask in reconciler.due(now_ms):
        given = rows.get(ask.what.rpartition("/")[2], []) if ask.params.get("settleCoin") != "USDC" else []
        events += reconciler.answered(ask, given, now_ms)
    return events


def test_a_subscription_asks_for_everything_once(reconciler: Reconciler) -> None:
    assert (reconciler.due(SENT_MS), reconciler.is_reconciled) == ([], False)
    reconciler.subscribed(SENT_MS + 10)
    asks = reconciler.due(SENT_MS + 10)
    assert sorted((str(ask.what), ask.params.get("settleCoin", "")) for ask in asks) == [
        ("account/wallet-balance", ""),
        ("execution/list", ""),
        ("order/realtime", "USDC"),
        ("order/realtime", "USDT"),
        ("position/list", "USDC"),
        ("position/list", "USDT"),
    ]
    assert reconciler.due(SENT_MS + 20) == []
    for ask in asks:
        assert not reconciler.is_reconciled
        reconciler.answered(ask, [], SENT_MS + 10)
    assert reconciler.is_reconciled
    reconciler.disconnected()
    assert not reconciler.is_reconciled


def test_what_an_earlier_start_sent_last_has_shown_before_open_orders_are_asked_for(account: Account) -> None:
    reconciler = Reconciler(account, ["linear"], SENT_MS, earlier_ms=SENT_MS)
    reconciler.subscribed(SENT_MS)
    shown_ms = SENT_MS + ORDER_RECV_WINDOW_MS + PROOF_MARGIN_MS + 1
    assert What.OPEN not in {ask.what for ask in reconciler.due(shown_ms - 1)}
    assert {ask.what for ask in reconciler.due(shown_ms)} == {What.OPEN}


def test_a_failed_question_is_asked_again(reconciler: Reconciler) -> None:
    reconciler.subscribed(SENT_MS)
    first, *rest = reconciler.due(SENT_MS)
    for ask in rest:
        reconciler.answered(ask, [], SENT_MS)
    reconciler.failed(first, SENT_MS)
    assert reconciler.due(SENT_MS + RETRY_MS - 1) == []
    assert reconciler.due(SENT_MS + RETRY_MS) == [first]


def test_executions_are_asked_from_before_the_last_known_in_windows(account: Account) -> None:
    account.take_execution(execution_row(execTime=str(SENT_MS + OVERLAP_MS + 5)))
    reconciler = Reconciler(account, ["spot", "linear"], SENT_MS)
    reconciler.subscribed(SENT_MS + 2 * WINDOW_MS)
    starts = [
        (ask.category, int(ask.params["startTime"]) - SENT_MS)
        for ask in reconciler.due(SENT_MS + 2 * WINDOW_MS)
        if ask.what is What.EXECUTIONS
    ]
    spot = [("spot", 0), ("spot", WINDOW_MS), ("spot", 2 * WINDOW_MS)]
    assert starts == [*spot, ("linear", 5), ("linear", WINDOW_MS + 5)]


def test_what_a_query_tells_is_marked(account: Account, reconciler: Reconciler) -> None:
    reconciler.subscribed(SENT_MS)
    events = answer_all(reconciler, SENT_MS + 1, realtime=[order_row()], list=[], **{"wallet-balance": []})
    assert [event.is_reconciled for event in events] == [True]
    assert [order.is_adopted for order in account.open_orders()] == [True]


def test_absence_is_proved_by_three_late_queries(account: Account, reconciler: Reconciler) -> None:
    order = unknown(account)
    asks = searching(reconciler, SENT_MS + 600)
    assert set(asks) == {What.OPEN, What.HISTORY, What.EXECUTIONS}
    assert asks[What.HISTORY].params["orderLinkId"] == "bot1-1-1"
    for ask in asks.values():
        assert reconciler.answered(ask, [], order.proof_ms) == []
    assert order.state is State.UNKNOWN
    assert searching(reconciler, order.proof_ms) == {}
    late = searching(reconciler, order.proof_ms + 1)
    assert set(late) == set(asks)
    assert reconciler.answered(late[What.OPEN], [], order.proof_ms + 1) == []
    assert reconciler.answered(late[What.HISTORY], [], order.proof_ms + 1) == []
    assert reconciler.answered(late[What.EXECUTIONS], [], order.proof_ms + 1) == []
    assert order.state is State.UNKNOWN  # it may have gone from the open ones to history in between
    (last,) = searching(reconciler, order.proof_ms + 2).values()
    (event,) = reconciler.answered(last, [], order.proof_ms + 2)
    assert isinstance(event, OrderEvent)
    assert (event.cause, event.state, event.is_reconciled) == ("absence", State.NOT_PLACED, True)
    assert searching(reconciler, SENT_MS + 90_000) == {}


@pytest.mark.parametrize("found_in", [What.OPEN, What.HISTORY, What.EXECUTIONS])
def test_any_of_the_three_can_find_it(account: Account, reconciler: Reconciler, found_in: What) -> None:
    order = unknown(account)
    rows = {
        What.OPEN: order_row("New"),
        What.HISTORY: order_row("Cancelled"),
        What.EXECUTIONS: execution_row(),
    }
    late_ms = order.proof_ms + 1
    for what, ask in searching(reconciler, late_ms).items():
        reconciler.answered(ask, [rows[what]] if what is found_in else [], late_ms)
    assert order.state is (State.CANCELLED if found_in is What.HISTORY else State.LIVE)


def test_a_failed_or_unreadable_answer_proves_nothing(account: Account, reconciler: Reconciler) -> None:
    order = unknown(account)
    late_ms = order.proof_ms + 1
    asks = searching(reconciler, late_ms)
    reconciler.answered(asks[What.OPEN], [], late_ms, unread=1)
    reconciler.failed(asks[What.HISTORY], late_ms)
    reconciler.answered(asks[What.EXECUTIONS], [], late_ms)
    assert order.state is State.UNKNOWN
    again = searching(reconciler, late_ms + RETRY_MS)
    assert set(again) == {What.OPEN, What.HISTORY}
    for now_ms in (late_ms + RETRY_MS, late_ms + RETRY_MS + 1):
        for ask in [*again.values(), *searching(reconciler, now_ms).values()]:
            reconciler.answered(ask, [], now_ms)
        again = {}
    assert order.state is State.NOT_PLACED


def test_what_was_absent_before_an_acknowledgement_proves_nothing_after(
    account: Account, reconciler: Reconciler
) -> None:
    order = unknown(account)
    late_ms = order.proof_ms + 1
    asks = searching(reconciler, late_ms)
    reconciler.answered(asks[What.OPEN], [], late_ms)
    reconciler.answered(asks[What.HISTORY], [], late_ms)
    account.created(order, Answer(Verdict.ACCEPTED, order_id="o1", at_ms=late_ms), now_ms=0)
    account.passed(1 << 40)
    reconciler.answered(asks[What.EXECUTIONS], [], late_ms + 2_000)
    assert order.state is State.UNKNOWN


def test_a_live_order_that_lists_do_not_have_is_looked_for(account: Account, reconciler: Reconciler) -> None:
    account.take_order(order_row())
    account.take_order(order_row(orderId="o2", orderLinkId="late", createdTime=str(SENT_MS + 500)))
    reconciler.subscribed(SENT_MS + 100)
    events = answer_all(reconciler, SENT_MS + 100)
    assert [(event.order.link_id, event.cause) for event in events] == [("bot1-1-1", "missing")]
    asks = searching(reconciler, SENT_MS + 200).values()
    assert {ask.what for ask in asks} == {What.OPEN, What.HISTORY, What.EXECUTIONS}
    order = account.order("bot1-1-1")
    assert order is not None
    assert searching(reconciler, SENT_MS + 300) == {}
    late_ms = order.proof_ms + 60_000
    for ask in asks:
        reconciler.answered(ask, [], late_ms)
    count = 0
    for now_ms in range(late_ms, late_ms + 60_000, 100):
        for ask in searching(reconciler, now_ms).values():
            reconciler.answered(ask, [], now_ms)
            count += 1
    assert 9 < count < 40  # less and less often
    assert (order.state, order.exposed_qty) == (State.UNKNOWN, 1)


def test_an_amendment_that_may_have_been_made_is_asked_for(account: Account, reconciler: Reconciler) -> None:
    account.take_order(order_row())
    (order,) = account.open_orders()
    account.amending(order, Decimal(3), SENT_MS + 20)
    proof_ms = SENT_MS + 20 + ORDER_RECV_WINDOW_MS + PROOF_MARGIN_MS
    assert searching(reconciler, proof_ms) == {}
    asks = searching(reconciler, proof_ms + 1)
    assert order.exposed_qty == 3
    reconciler.answered(asks[What.OPEN], [order_row()], proof_ms + 1)
    assert order.exposed_qty == 1


def test_an_answer_of_a_sweep_that_was_cut_off_tells_rows_and_nothing_missing(
    account: Account, reconciler: Reconciler
) -> None:
    account.take_order(order_row())
    reconciler.subscribed(SENT_MS + 100)
    asks = reconciler.due(SENT_MS + 100)
    reconciler.disconnected()
    for ask in asks:
        assert reconciler.answered(ask, [], SENT_MS + 100) == []
    assert not reconciler.is_reconciled


def test_executions_that_rows_told_of_are_asked_for(account: Account, reconciler: Reconciler) -> None:
    account.take_order(order_row("Filled", filled="1"))
    assert searching(reconciler, SENT_MS) == {}
    (ask,) = searching(reconciler, SENT_MS + OWING_MS).values()
    assert (ask.what, ask.params["orderLinkId"]) == (What.EXECUTIONS, "bot1-1-1")
    reconciler.answered(ask, [execution_row(qty="1")], SENT_MS + OWING_MS)
    assert account.owing_orders() == []
    assert searching(reconciler, SENT_MS + 90_000) == {}


def test_a_position_that_a_list_leaves_out_is_asked_for_by_symbol(
    account: Account, reconciler: Reconciler
) -> None:
    account.take_position(position_row("2"))
    reconciler.subscribed(SENT_MS)
    answer_all(reconciler, SENT_MS + 1)
    assert not reconciler.is_reconciled
    (ask,) = reconciler.due(SENT_MS + 2)
    assert (ask.what, ask.params["symbol"]) == (What.POSITIONS, "BTCUSDT")
    reconciler.answered(ask, [position_row("0", seq=91)], SENT_MS + 2)
    assert (account.positions.size("linear", "BTCUSDT"), reconciler.is_reconciled) == (0, True)


def test_rows_are_read_by_what_was_asked() -> None:
    good = dict(order_row().raw)
    del good["category"]
    ask = Ask(What.OPEN, "linear", {})
    rows, errors = read_rows(ask, [good, {**good, "qty": "1e3"}], SENT_MS)
    assert [row.category for row in rows if hasattr(row, "category")] == ["linear"]
    assert [str(error) for error in errors] == [
        "answer of order was not understood: qty was '1e3', expected a decimal number as text"
    ]
    wallet, _ = read_rows(Ask(What.WALLET, "", {}), [{"coin": []}], SENT_MS)
    assert wallet[0].raw == {"coin": []}
    assert read_rows(Ask(What.EXECUTIONS, "linear", {}), [execution_row().raw], 0)[0] == [execution_row()]
    assert read_rows(Ask(What.POSITIONS, "linear", {}), [position_row("1").raw], 0)[0] == [position_row("1")]
