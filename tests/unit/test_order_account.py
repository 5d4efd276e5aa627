"""An account: executions once each, positions by seq, wallet by coin, exposure never understated."""

from decimal import Decimal

import pytest

from engine.bybit.models import read_wallet
from engine.bybit.order_codes import Verdict
from engine.errors import UsageError
from engine.orders.account import ANSWER_DUE_MS, ROW_DUE_MS, Account, Answer
from engine.orders.events import ExecutionEvent, OrderEvent, PositionEvent, WalletEvent
from engine.orders.exposure import Exposure
from engine.orders.ids import Intents
from engine.orders.order import Order, State
from tests.support.order_rows import SENT_MS, execution_row, fast_row, intent, order_row, position_row

ACCEPTED = Answer(Verdict.ACCEPTED, order_id="o1", at_ms=SENT_MS + 3)


@pytest.fixture
def account() -> Account:
    return Account(Intents("bot1", 1).is_ours)


@pytest.fixture
def order(account: Account) -> Order:
    return account.sending(intent(), SENT_MS, now_ms=0)


def exposure(account: Account) -> Exposure:
    return account.exposure("linear", "BTCUSDT")


def test_an_intent_is_sent_once(account: Account, order: Order) -> None:
    with pytest.raises(UsageError, match="'bot1-1-1' was sent before"):
        account.sending(intent(), SENT_MS, now_ms=1)
    with pytest.raises(UsageError, match="is empty"):
        account.sending(intent(link_id=""), SENT_MS, now_ms=1)


def test_a_life_in_events(account: Account, order: Order) -> None:
    events = account.created(order, ACCEPTED, now_ms=5)
    events += account.take_order(order_row("New"))
    events += account.take_order(order_row("New"))
    events += account.take_execution(execution_row(qty="1"))
    events += account.take_order(order_row("Filled", at=30, filled="1"))
    told = [(event.cause, event.state) for event in events if isinstance(event, OrderEvent)]
    assert told == [
        ("ack", State.ACCEPTED),
        ("row", State.LIVE),
        ("fill", State.LIVE),
        ("row", State.FILLED),
    ]
    assert not any(event.is_reconciled for event in events)
    assert account.open_orders() == []
    assert account.order("bot1-1-1") is account.order("", "linear", "o1") is order


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ACCEPTED, State.ACCEPTED),
        (Answer(Verdict.REFUSED, 110007, "balance"), State.NOT_PLACED),
        (Answer(Verdict.LIMITED, 10006), State.NOT_PLACED),
        (Answer(Verdict.CLOCK, 10002), State.NOT_PLACED),
        (Answer(Verdict.KEY, 10003), State.NOT_PLACED),
        (Answer(Verdict.UNKNOWN, 10016), State.UNKNOWN),
        (Answer(Verdict.MISSING, 110001), State.UNKNOWN),
    ],
)
def test_what_an_answer_to_a_create_proves(account: Account, answer: Answer, state: State) -> None:
    order = account.sending(intent(), SENT_MS, now_ms=0)
    account.created(order, answer, now_ms=5)
    assert order.state is state
    assert exposure(account).long == (0 if state is State.NOT_PLACED else 1)


def test_silence_makes_an_order_unknown(account: Account, order: Order) -> None:
    assert account.passed(ANSWER_DUE_MS - 1) == []
    (event,) = account.passed(ANSWER_DUE_MS)
    assert isinstance(event, OrderEvent)
    assert (event.cause, event.before, event.state) == ("overdue", State.PENDING, State.UNKNOWN)
    assert account.unknown_orders() == [order]
    account.created(order, ACCEPTED, now_ms=20_000)
    assert account.passed(20_000 + ROW_DUE_MS - 1) == []
    assert len(account.passed(20_000 + ROW_DUE_MS)) == 1


def test_a_timeout_concerns_only_what_had_no_answer(account: Account, order: Order) -> None:
    account.created(order, ACCEPTED, now_ms=5)
    assert account.unanswered(order, "timeout") == []
    assert order.state is State.ACCEPTED


def test_fast_and_normal_execution_are_one(account: Account, order: Order) -> None:
    account.take_order(order_row("New"))
    fast = account.take_execution(fast_row())
    fee = account.take_execution(execution_row())
    again = [*account.take_execution(fast_row()), *account.take_execution(execution_row())]
    assert [event.is_fill for event in fast if isinstance(event, ExecutionEvent)] == [True]
    assert [event.is_fill for event in fee if isinstance(event, ExecutionEvent)] == [False]
    assert again == []
    assert (order.settled_qty, order.fees) == (Decimal("0.5"), {"USDT": Decimal("0.01")})
    assert account.executions.repeated == 2


def test_the_same_exec_id_of_another_symbol_is_another_execution(account: Account) -> None:
    account.take_execution(execution_row())
    (event,) = account.take_execution(execution_row(symbol="ETHUSDT", orderId="o2", orderLinkId=""))
    assert isinstance(event, ExecutionEvent)
    assert event.is_fill


def test_a_fast_fill_waits_for_the_row_that_says_whose_it_is(account: Account, order: Order) -> None:
    (event,) = account.take_execution(fast_row())
    assert isinstance(event, ExecutionEvent)
    assert event.order is None
    assert exposure(account) == Exposure(Decimal("0.5"), Decimal("1.5"), Decimal(0), 1, 0)
    account.take_order(order_row("PartiallyFilled", at=30, filled="0.5"))
    assert order.settled_qty == Decimal("0.5")
    assert exposure(account).long == 1


def test_an_acknowledgement_can_tell_it_too(account: Account, order: Order) -> None:
    account.take_execution(fast_row())
    account.created(order, ACCEPTED, now_ms=5)
    assert (order.state, order.settled_qty) == (State.LIVE, Decimal("0.5"))


def test_funding_is_no_fill(account: Account, order: Order) -> None:
    funding = execution_row("e9", execType="Funding", orderId="f1", orderLinkId="", side="Sell")
    (event,) = account.take_execution(funding)
    assert isinstance(event, ExecutionEvent)
    assert not event.is_fill
    assert account.take_execution(funding) == []
    assert account.positions.size("linear", "BTCUSDT") == 0
    assert account.counts["execution_Funding"] == 1


def test_a_position_and_the_fills_that_it_holds(account: Account) -> None:
    account.take_execution(execution_row("e1", "1", seq=100))
    assert isinstance(account.take_position(position_row("3", seq=99))[0], PositionEvent)
    assert account.positions.size("linear", "BTCUSDT") == 4
    account.take_position(position_row("4", seq=100))
    assert account.positions.size("linear", "BTCUSDT") == 4
    account.take_execution(execution_row("e2", "1", seq=100))
    assert account.positions.size("linear", "BTCUSDT") == 4
    assert account.take_position(position_row("3", seq=99)) == []
    account.take_position(position_row("2", seq=101, side="Sell"))
    assert account.positions.size("linear", "BTCUSDT") == -2
    assert account.positions.older == 1


def test_spot_has_no_position_rows_fills_are_all_that_is_known(account: Account) -> None:
    account.take_execution(execution_row("e1", "2", category="spot"))
    account.take_execution(execution_row("e2", "0.5", category="spot", side="Sell"))
    assert account.exposure("spot", "BTCUSDT").position == Decimal("1.5")


def test_a_wallet_is_merged_by_coin(account: Account) -> None:
    def wallet(at_ms: int, **coins: str) -> list[object]:
        listed = [{"coin": coin, "walletBalance": balance} for coin, balance in coins.items()]
        return [*account.take_wallet(read_wallet({"totalEquity": str(at_ms), "coin": listed}, at_ms))]

    assert len(wallet(10, USDT="5", BTC="1")) == 1
    assert isinstance(wallet(20, USDT="7")[0], WalletEvent)
    assert wallet(5, USDT="1", BTC="9") == []
    assert {coin: row.wallet_balance for coin, row in account.coins.items()} == {"USDT": 7, "BTC": 1}
    assert account.wallet is not None
    assert account.wallet.total_equity == 20


def test_orders_of_others_count_and_ours_are_adopted(account: Account) -> None:
    account.take_order(order_row(), asked_ms=SENT_MS + 100)
    account.take_order(order_row(orderId="o2", orderLinkId="hand", side="Sell", qty="3"))
    ours, other = account.open_orders()
    assert (ours.is_ours, ours.is_adopted, other.is_ours) == (True, True, False)
    assert exposure(account) == Exposure(Decimal(0), Decimal(1), Decimal(3), 2, 0)


def test_a_second_order_of_one_link_id_is_an_order_of_its_own(account: Account, order: Order) -> None:
    account.take_order(order_row())
    account.take_order(order_row(orderId="o2"))
    assert account.counts["second_order"] == 1
    assert exposure(account).long == 2
    assert account.order("bot1-1-1") is order


def test_what_is_filled_by_a_row_counts_until_its_executions_come(account: Account, order: Order) -> None:
    account.take_order(order_row("Filled", at=30, filled="1"))
    assert (exposure(account).long, account.owing_orders()) == (1, [order])
    account.take_execution(execution_row(qty="1"))
    assert (exposure(account).long, account.owing_orders()) == (1, [])
    account.take_position(position_row("1", seq=100))
    assert exposure(account) == Exposure(Decimal(1), Decimal(1), Decimal(0), 0, 0)


def test_closing_orders_bring_a_position_to_nothing_and_no_further(account: Account) -> None:
    account.take_position(position_row("3"))
    account.sending(intent("bot1-1-5", side="Sell", qty=Decimal(5), is_reduce_only=True), SENT_MS, 0)
    assert exposure(account).short == 0
    account.sending(intent("bot1-1-6", side="Sell", qty=Decimal(2)), SENT_MS, 0)
    assert exposure(account).short == 2
    account.sending(intent("bot1-1-7", side="Buy", qty=Decimal(1)), SENT_MS, 0)
    assert exposure(account).long == 4


def test_the_sides_of_a_hedge_are_positions_of_their_own(account: Account) -> None:
    account.take_position(position_row("3", positionIdx=1))
    account.take_position(position_row("2", positionIdx=2, side="Sell"))
    account.sending(intent("bot1-1-5", side="Sell", qty=Decimal(1), position_idx=2), SENT_MS, 0)
    account.sending(intent("bot1-1-6", side="Sell", qty=Decimal(1), position_idx=1), SENT_MS, 0)
    assert exposure(account) == Exposure(Decimal(1), Decimal(3), Decimal(3), 2, 0)


def test_a_fill_whose_order_is_of_a_hedge_moves_to_its_side(account: Account) -> None:
    account.take_position(position_row("3", seq=99, positionIdx=1))
    account.take_execution(fast_row(qty="1"))
    account.take_order(order_row("PartiallyFilled", qty="2", filled="1", positionIdx=1))
    assert account.positions.size("linear", "BTCUSDT", 1) == 4
    assert account.positions.size("linear", "BTCUSDT", 0) == 0


def test_a_contradiction_is_told_once_and_counts(account: Account, order: Order) -> None:
    account.created(order, Answer(Verdict.REFUSED, 110007), now_ms=5)
    (event,) = account.take_order(order_row("New"))
    assert isinstance(event, OrderEvent)
    assert (event.cause, event.state, exposure(account).long) == ("contradiction", State.NOT_PLACED, 1)
    account.take_order(order_row("New", at=11))
    assert (account.counts["contradiction"], account.unknown_orders()) == (1, [order])
    account.take_order(order_row("Cancelled", at=40))
    assert (exposure(account).long, account.unknown_orders()) == (0, [])
