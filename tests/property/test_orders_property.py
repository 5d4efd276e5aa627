"""Orders through a network that loses, repeats, delays and is cut: never two for one intent, none revived."""

from random import Random

import pytest

from engine.orders.events import ExecutionEvent, OrderEvent
from engine.orders.order import FINAL_STATES, State
from tests.support.order_traffic import Traffic

STEPS = 250


@pytest.mark.parametrize("number", range(40))
def test_the_account_is_never_wrong_and_at_last_the_exchange_s(random: Random, number: int) -> None:
    traffic = Traffic(random)
    for _ in range(STEPS):
        traffic.step()
    traffic.finish()
    check_events(traffic)


def test_the_traffic_has_what_it_is_to_prove(random: Random) -> None:
    seen: set[object] = set()
    for _ in range(8):
        traffic = Traffic(random)
        for _ in range(STEPS):
            traffic.step()
        traffic.finish()
        seen |= {event.cause for event in traffic.events if isinstance(event, OrderEvent)}
        seen |= {event.state for event in traffic.events if isinstance(event, OrderEvent)}
        seen |= {name for name, count in traffic.account.counts.items() if count}
        seen |= {"reconciled" for event in traffic.events if event.is_reconciled}
    causes = {"ack", "refusal", "timeout", "open", "overdue", "missing", "row", "fill", "absence"}
    states = FINAL_STATES - {State.DEACTIVATED} | {State.ACCEPTED, State.LIVE, State.UNKNOWN}
    assert seen >= causes | states | {"order_older", "order_late", "order_same", "reconciled"}


def check_events(traffic: Traffic) -> None:
    """Every fill is told once, and no event leads out of a final state."""
    fills = [
        event.execution.key for event in traffic.events if isinstance(event, ExecutionEvent) and event.is_fill
    ]
    assert len(fills) == len(set(fills)) == sum(len(order.executions) for order in traffic.exchange.orders)
    for event in traffic.events:
        if isinstance(event, OrderEvent) and event.before in FINAL_STATES:
            assert event.state is event.before
