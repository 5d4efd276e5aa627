"""One order: every row of the table of docs/orders.md, and rows that come late, twice or not at all."""

from decimal import Decimal

import pytest

from engine.orders.order import PROOF_MARGIN_MS, Order, State, Taken
from tests.support.order_rows import SENT_MS, execution_row, intent, order_row

FINAL = {
    "Filled": State.FILLED,
    "Cancelled": State.CANCELLED,
    "PartiallyFilledCanceled": State.CANCELLED,
    "Rejected": State.REJECTED,
    "Deactivated": State.DEACTIVATED,
}


def order(state: State = State.PENDING) -> Order:
    made = Order(intent(), sent_ms=SENT_MS)
    if state is State.ACCEPTED:
        made.acknowledged("o1", SENT_MS + 3, 1000)
    elif state is State.UNKNOWN:
        made.doubted("timeout")
    elif state is State.LIVE:
        made.take_row(order_row("New"))
    elif state is State.NOT_PLACED:
        made.refused(110007, "insufficient")
    assert made.state is state
    return made


def test_an_acknowledgement_is_not_placement() -> None:
    made = order()
    assert made.acknowledged("o1", SENT_MS + 3, due_ms=500)
    assert (made.state, made.order_id, made.is_placed) == (State.ACCEPTED, "o1", False)
    assert not made.overdue(499)
    assert made.overdue(500)


@pytest.mark.parametrize("before", [State.PENDING, State.UNKNOWN])
def test_a_refusal_of_what_was_not_seen_is_not_placed(before: State) -> None:
    made = order(before)
    assert made.refused(110007, "insufficient balance")
    assert (made.state, made.ret_code, made.exposed_qty) == (State.NOT_PLACED, 110007, 0)


@pytest.mark.parametrize("before", [State.LIVE, State.ACCEPTED])
def test_a_refusal_after_the_venue_showed_or_took_it_changes_nothing(before: State) -> None:
    made = order(before)
    assert not made.refused(110007, "insufficient balance")
    assert made.state is before


@pytest.mark.parametrize("before", [State.PENDING, State.ACCEPTED, State.LIVE])
def test_doubt_counts_the_whole_quantity(before: State) -> None:
    made = order(before)
    assert made.doubted("timeout", 10016)
    assert (made.state, made.exposed_qty, made.due_ms) == (State.UNKNOWN, 1, None)


@pytest.mark.parametrize("before", [State.PENDING, State.ACCEPTED, State.UNKNOWN, State.LIVE])
@pytest.mark.parametrize("status", ["New", "Untriggered", "PartiallyFilled", "AWordOfNextYear", *FINAL])
def test_a_row_tells_the_state(before: State, status: str) -> None:
    made = order(before)
    made.take_row(order_row(status, at=30))
    assert made.state is FINAL.get(status, State.LIVE)
    assert made.status == status
    assert made.due_ms is None


@pytest.mark.parametrize("status", sorted(FINAL))
@pytest.mark.parametrize("late", ["New", "PartiallyFilled", "Cancelled", "Filled", "Untriggered"])
def test_a_final_state_stays_and_what_is_filled_never_falls(status: str, late: str) -> None:
    made = order()
    made.take_row(order_row(status, at=30, filled="0.5"))
    for filled, expected in (("0.2", "0.5"), ("0.7", "0.7")):
        assert made.take_row(order_row(late, at=40, filled=filled)) is Taken.LATE
        assert (made.state, made.filled_qty) == (FINAL[status], Decimal(expected))
    assert not made.doubted("timeout")
    assert not made.absent()
    assert not made.acknowledged("o1", SENT_MS, 0)
    assert not made.refused(10001, "")
    assert made.state is FINAL[status]


def test_rows_are_ordered_by_time_then_rank() -> None:
    made = order()
    made.take_row(order_row("PartiallyFilled", at=30, filled="0.5", price="101"))
    assert made.take_row(order_row("New", at=29, price="90")) is Taken.OLDER
    assert made.take_row(order_row("New", at=30, price="90")) is Taken.OLDER
    assert (made.status, made.price) == ("PartiallyFilled", 101)
    assert made.take_row(order_row("PartiallyFilled", at=30, filled="0.5", price="101")) is Taken.SAME
    assert made.take_row(order_row("Cancelled", at=30, filled="0.5")) is Taken.CHANGED
    assert made.state is State.CANCELLED


def test_the_second_filled_of_a_raced_cancel_changes_nothing() -> None:
    made = order()
    made.take_row(order_row("Filled", at=30, filled="1"))
    second = order_row(
        "Filled", at=31, filled="1", cancelType="CancelByUser", rejectReason="EC_OrigClOrdIDDoesNotExist"
    )
    assert made.take_row(second) is Taken.LATE
    assert (made.state, made.cancel_type) == (State.FILLED, "UNKNOWN")


def test_absence_is_not_placed_only_of_what_was_never_seen() -> None:
    unseen = order(State.UNKNOWN)
    assert unseen.absent()
    assert (unseen.state, unseen.exposed_qty) == (State.NOT_PLACED, 0)
    seen = order(State.LIVE)
    seen.doubted("missing")
    assert not seen.absent()
    assert (seen.state, seen.exposed_qty) == (State.UNKNOWN, 1)
    assert not order(State.PENDING).absent()


def test_what_is_not_placed_and_yet_shown_live_counts_and_is_told() -> None:
    made = order(State.NOT_PLACED)
    made.take_row(order_row("New"))
    assert (made.state, made.is_contradicted, made.exposed_qty) == (State.NOT_PLACED, True, 1)
    made.take_row(order_row("Cancelled", at=40))
    assert (made.state, made.is_contradicted, made.exposed_qty) == (State.NOT_PLACED, False, 0)
    made.take_row(order_row("New"))
    assert not made.is_contradicted


def test_an_acknowledgement_after_proved_absence_is_asked_for_again() -> None:
    made = order(State.UNKNOWN)
    made.absent()
    made.acknowledged("o1", SENT_MS + 9_000, 0)
    assert (made.is_contradicted, made.exposed_qty) == (True, 1)
    assert made.proof_ms == SENT_MS + 9_000 + PROOF_MARGIN_MS
    assert made.absent()
    assert (made.state, made.is_contradicted) == (State.NOT_PLACED, False)


def test_a_fill_proves_placement_and_only_a_row_ends_an_order() -> None:
    made = order(State.UNKNOWN)
    assert made.take_fill(execution_row(qty="1"), due_ms=700)
    assert (made.state, made.filled_qty, made.exposed_qty) == (State.LIVE, 1, 0)
    assert made.overdue(700)
    made.take_row(order_row("New"))
    assert made.overdue(700)
    made.take_row(order_row("Filled", at=30, filled="1"))
    assert (made.state, made.due_ms) == (State.FILLED, None)


def test_a_final_order_counts_what_executions_do_not_tell_yet() -> None:
    made = order()
    made.take_row(order_row("Cancelled", at=30, filled="0.7"))
    assert made.exposed_qty == Decimal("0.7")
    made.take_fill(execution_row(qty="0.5"), 0)
    assert made.exposed_qty == Decimal("0.2")


def test_an_amendment_counts_the_larger_quantity_until_its_outcome_is_known() -> None:
    made = order(State.LIVE)
    made.amending(Decimal(3), SENT_MS + 100, 2_000)
    made.amending(Decimal("0.5"), SENT_MS + 110, 2_000)
    assert made.exposed_qty == 3
    made.take_row(order_row(at=120, qty="0.5"))
    assert made.exposed_qty == 3
    made.queried(SENT_MS + 100 + 2_000 + PROOF_MARGIN_MS)
    assert made.exposed_qty == 3
    made.queried(SENT_MS + 100 + 2_000 + PROOF_MARGIN_MS + 1)
    assert made.exposed_qty == Decimal("0.5")
    made.amending(Decimal(2), SENT_MS + 9_000, 2_000)
    made.not_amended(Decimal(2), SENT_MS + 9_000)
    assert made.exposed_qty == Decimal("0.5")
    made.amending(Decimal(2), SENT_MS + 9_000, 2_000)
    made.take_row(order_row(at=9_001, qty="2"))
    assert (made.exposed_qty, made.amends) == (2, [])
    made.amending(Decimal(3), SENT_MS + 9_002, 2_000)
    made.amending(Decimal(3), SENT_MS + 9_003, 2_000)
    made.take_row(order_row(at=9_010, qty="3"))
    made.take_row(order_row(at=9_020, qty="1"))
    assert made.exposed_qty == 3
    proof = 9_003 + 2_000 + PROOF_MARGIN_MS
    assert (made.unsure(SENT_MS + proof - 1), made.unsure(SENT_MS + proof)) == (False, True)
    made.take_row(order_row(at=proof + 1, qty="1"))
    assert (made.exposed_qty, made.amends) == (1, [])


def test_an_order_for_quote_coin_counts_the_base_coin_that_it_can_become() -> None:
    wanted = intent(
        category="spot", order_type="Market", qty=Decimal(1_000), price=None, base_qty=Decimal("0.02")
    )
    assert wanted.is_in_quote
    assert Order(wanted).exposed_qty == Decimal("0.02")
    assert not intent(category="spot", order_type="Market", side="Sell").is_in_quote
    assert not intent(category="spot", order_type="Market", market_unit="baseCoin").is_in_quote
    adopted = Order.adopted(order_row(category="spot", orderType="Market", qty="1000", price="50"), True)
    assert adopted.exposed_qty == 20


def test_a_copy_keeps_its_moment() -> None:
    made = order(State.LIVE)
    kept = made.copy()
    made.take_fill(execution_row(), 0)
    made.take_fee(execution_row())
    made.amending(Decimal(2), 0, 0)
    assert (kept.filled_qty, kept.fees, kept.amends) == (0, {}, [])
    assert made.fees == {"USDT": Decimal("0.01")}
