"""The compiled limits of a symbol, the requests of a second, and refusals in words."""

from collections.abc import Callable

import pytest

from engine.orders.guards import INT64_MAX, Block
from engine.orders.prepared import refused
from ext.book import OrderBook
from ext.guard import RateWindow, SymbolLimits
from ext.ticket import Ticket
from tests.support.tickets import Wire, order_ticket, symbol_limits

S = 1_000_000_000


def test_limits_are_copied_and_replaced_and_the_book_stays() -> None:
    one = symbol_limits(buy_room=8)
    book = OrderBook("linear", "BTCUSDT", 50)
    one.follow(book)
    other = one.but(buy_room=7)
    assert (one.buy_room, other.buy_room, other.book) == (8, 7, None)
    assert one != other
    one.become(other)
    assert one == other
    assert one.book is book
    assert one.max_notional == INT64_MAX
    assert "buy_room=7" in repr(one)
    assert one != 1


@pytest.mark.parametrize("name", ["tick", "step"])
def test_a_grid_of_nothing_refuses_everything(name: str) -> None:
    assert symbol_limits().rule(is_buy=True, qty=10, price=10) == 0
    assert symbol_limits(**{name: 0}).rule(is_buy=True, qty=10, price=10) != 0


def test_limits_are_64_bits() -> None:
    with pytest.raises(OverflowError):
        SymbolLimits(price_scale=0, size_scale=0, tick=1, step=1, max_qty=1 << 63)


def test_a_second_holds_so_many_requests_and_not_one_more() -> None:
    window = RateWindow(3)
    taken = []
    for at in range(0, 3 * S, S // 10):
        if window.is_free(at):
            window.note(at)
            taken.append(at * 10 // S)
    assert taken == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    window.block(5 * S)
    window.block(4 * S)
    assert not window.is_free(5 * S - 1)
    assert window.is_free(5 * S)


@pytest.mark.parametrize("per_second", [0, 10_001])
def test_a_rate_has_bounds(per_second: int) -> None:
    with pytest.raises(ValueError, match="per_second was"):
        RateWindow(per_second)


def killed(ticket: Ticket) -> None:
    ticket.limits.blocks = Block.KILLED


def disconnected(ticket: Ticket) -> None:
    ticket.gate.connect(None)


def unchanged(ticket: Ticket) -> None:
    """As it is."""


@pytest.mark.parametrize(
    ("spoil", "qty", "price", "words"),
    [
        (unchanged, 5, 10, "qty 0.005 is below minOrderQty 0.010 of linear BTCUSDT"),
        (unchanged, 10, 15, "price 0.15 is no multiple of tickSize 0.10 of linear BTCUSDT"),
        (unchanged, 10, 10, "notional 0.00100 is below minNotionalValue 5.00000 of linear BTCUSDT"),
        (
            killed,
            10,
            10,
            "kill switch is on: nothing is sent until the client is started again (linear BTCUSDT)",
        ),
        (disconnected, 10, 10, "order entry is not connected and authenticated (linear BTCUSDT)"),
    ],
)
def test_refusals_name_field_value_and_rule(
    spoil: Callable[[Ticket], None], qty: int, price: int, words: str
) -> None:
    with Wire() as wire:
        ticket = order_ticket(wire, symbol_limits(min_qty=10, min_notional=500_000))
        spoil(ticket)
        assert str(refused(ticket, ticket.send(qty, price), qty, price)) == words
