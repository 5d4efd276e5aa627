"""The order client on the simulator's exchange: placing, doubt, disconnects, what is left at the end."""

import asyncio
import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.bybit.order_codes import Verdict
from engine.errors import ConfigError, HttpStatusError
from engine.orders import OrderRefusedError, Refused, State
from tests.support.loops import run
from tests.support.trading import SYMBOL, WIDE, becomes, floor

LOST = {"fault": "stream_lost", "times": 0}


def limit(price: str, qty: str = "0.01", **fields: Any) -> dict[str, Any]:
    return {"side": "Buy", "order_type": "Limit", "qty": qty, "price": price, **fields}


def test_an_order_lives_is_amended_and_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            order = await orders.place(*SYMBOL, **limit(place.price()))
            assert order.state in (State.ACCEPTED, State.LIVE)
            await order.until(lambda order: order.state is State.LIVE)
            assert await place.open_orders() == [order.link_id]
            price = place.price("0.96")
            assert (await orders.amend(order, price=price, qty="0.02")).verdict is Verdict.ACCEPTED
            await order.until(lambda order: str(order.qty) == "0.02")
            assert str(order.price).startswith(price)
            assert (await orders.cancel(order)).verdict is Verdict.ACCEPTED
            assert (await order.done()).state is State.CANCELLED
            assert place.seen.states(order)[-1] == State.CANCELLED
            assert orders.account.open_orders() == []

    run(main())


def test_a_fill_is_told_once_with_its_fee_and_moves_the_position(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client(with_fast=True) as orders:
            order = await orders.place(*SYMBOL, side="Buy", order_type="Market", qty="0.01")
            await order.done()
            assert order.state is State.FILLED
            await becomes(lambda: bool(orders.account.positions.size(*SYMBOL) and order.fees))
            assert str(order.settled_qty) == "0.01"
            fills = [event for event in place.seen.executions if event.is_fill]
            assert sum(event.execution.qty for event in fills) == order.settled_qty

    run(main())


def test_a_batch_has_a_result_for_each_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            low, symbol = place.price(), SYMBOL[1]
            batch = [{"symbol": symbol, **limit(low, qty)} for qty in ("0.01", "0.0001", "0.02")]
            first, second, third = await orders.place_batch("linear", batch)
            assert isinstance(second, Refused)
            assert str(second) == "qty 0.0001 is below minOrderQty 0.001 of linear BTCUSDT"
            for order in (first, third):
                await order.until(lambda order: order.state is State.LIVE)
            changed = await orders.amend_batch(
                "linear", [(first, {"qty": "0.03"}), (third, {"qty": "0.0001"})]
            )
            with pytest.raises(ConfigError, match="nothing is to be changed"):
                await orders.amend_batch("linear", [(first, {"qty": "9"}), (third, {})])
            assert orders.account.exposure(*SYMBOL).long < 1
            assert changed[0].verdict is Verdict.ACCEPTED
            assert isinstance(changed[1], Refused)
            answers = await orders.cancel_batch("linear", [first, third])
            assert [answer.verdict for answer in answers] == [Verdict.ACCEPTED] * 2
            assert [(await order.done()).state for order in (first, third)] == [State.CANCELLED] * 2

    run(main())


def test_what_the_venue_refuses_was_not_placed(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            used = await orders.place(*SYMBOL, **limit(place.price(), reduce_only=True))
            assert used.state is State.NOT_PLACED
            assert used.ret_code == 110017

    run(main())


def test_an_id_of_ones_own_is_none_that_the_client_gives(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            own = await orders.place(*SYMBOL, **limit(place.price(), order_link_id="mine-1"))
            assert own.link_id == "mine-1"
            with pytest.raises(ConfigError, match="order_link_id"):
                await orders.place(*SYMBOL, **limit(place.price(), order_link_id="tapehead-1-9"))
        assert own.state is State.CANCELLED

    run(main())


def test_what_a_guard_refuses_is_not_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            with pytest.raises(OrderRefusedError, match=r"notional 0\.0010* is below minNotionalValue 5"):
                await orders.place(*SYMBOL, **limit("1", qty="0.001"))
            with pytest.raises(OrderRefusedError, match=r"qty 0\.0105 is no multiple of qtyStep 0\.001"):
                await orders.place(*SYMBOL, **limit(place.price(), qty="0.0105"))
            assert (await place.ask("log"))["lines"] == []

    run(main())


def test_a_lost_answer_is_cleared_up_by_a_query(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            await place.tell("faults", [{"fault": "ack_lost"}, LOST])
            order = await orders.place(*SYMBOL, **limit(place.price()))
            assert order.state is State.UNKNOWN
            await order.until(lambda order: order.state is State.LIVE)
            assert place.seen.orders[-1] == (order.link_id, State.LIVE, "row", True)

    run(main())


def test_a_lost_request_is_called_not_placed_only_after_its_window(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            await place.tell("faults", [{"fault": "request_lost"}])
            order = await orders.place(*SYMBOL, **limit(place.price()))
            assert order.state is State.UNKNOWN
            assert orders.account.exposure(*SYMBOL).unknown == 1
            await order.done()
            assert order.state is State.NOT_PLACED
            assert (orders.venue.rest.server_ms() or 0) > order.proof_ms

    run(main())


def test_an_order_accepted_after_not_found_is_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            script = [{"fault": "accepted_late", "late_ms": 1500}, LOST]
            await place.tell("faults", script)
            order = await orders.place(*SYMBOL, **limit(place.price()))
            assert order.state is State.UNKNOWN
            await order.until(lambda order: order.state is State.LIVE)
            assert await place.open_orders() == [order.link_id]

    run(main())


@pytest.mark.parametrize(("policy", "state"), [("keep", State.LIVE), ("cancel", State.CANCELLED)])
def test_a_connection_cut_after_an_order_leaves_it_kept_or_cancelled(
    tmp_path: Path, policy: str, state: State
) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client(on_disconnect=policy) as orders:
            await place.tell("faults", [{"fault": "cut_after"}])
            order = await orders.place(*SYMBOL, **limit(place.price()))
            await order.until(lambda order: order.state is state)
            await becomes(lambda: orders.venue.connects == 3 and orders.venue.is_ready)
            again = await orders.place(*SYMBOL, **limit(place.price()))
            await again.until(lambda order: order.state is State.LIVE)
            assert order.state is state

    run(main())


def test_what_happened_while_the_streams_were_down_is_told_as_reconciled(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client(on_disconnect="keep") as orders:
            order = await orders.place(*SYMBOL, **limit(place.price()))
            await order.until(lambda order: order.state is State.LIVE)
            await place.tell("faults", [LOST])
            await orders.cancel_all(*SYMBOL)
            orders.venue.drop_streams()
            await becomes(lambda: not orders.venue.live.is_reconciled)
            with pytest.raises(OrderRefusedError, match="is not reconciled"):
                await orders.place(*SYMBOL, **limit(place.price()))
            await order.done()
            assert place.seen.orders[-1] == (order.link_id, State.CANCELLED, "row", True)

    run(main())


def test_orders_are_cancelled_at_the_end_unless_kept_and_kept_ones_are_adopted(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place:
            async with place.client() as orders:
                await orders.place(*SYMBOL, **limit(place.price()))
            assert await place.open_orders() == []
            async with place.client(on_exit="keep") as orders:
                kept = await orders.place(*SYMBOL, **limit(place.price()))
            assert await place.open_orders() == [kept.link_id]
            async with place.client(on_exit="keep") as orders:
                (adopted,) = orders.account.open_orders()
                assert (adopted.link_id, adopted.is_adopted, adopted.is_ours) == (kept.link_id, True, True)
                fresh = await orders.place(*SYMBOL, **limit(place.price()))
                assert fresh.link_id != kept.link_id
            async with place.client(at_start="cancel", on_exit="keep"):
                assert await place.open_orders() == []

    run(main())


def test_orders_of_others_are_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client(instance="other", on_exit="keep") as other:
            theirs = await other.place(*SYMBOL, **limit(place.price()))
            async with place.client(instance="mine") as orders:
                await orders.place(*SYMBOL, **limit(place.price()))
            assert await place.open_orders() == [theirs.link_id]

    run(main())


@pytest.mark.parametrize("by", ["call", "file", "signal"])
def test_the_kill_switch_cancels_everything_and_stops(tmp_path: Path, by: str) -> None:
    async def main() -> None:
        file = tmp_path / "kill"
        async with (
            floor(tmp_path) as place,
            place.client(kill_file=file, kill_signal=signal.SIGUSR1) as orders,
        ):
            order = await orders.place(*SYMBOL, **limit(place.price()))
            if by == "file":
                file.touch()
            elif by == "signal":
                os.kill(os.getpid(), signal.SIGUSR1)
            else:
                await orders.kill("a test")
            assert (await order.done()).state is State.CANCELLED
            with pytest.raises(OrderRefusedError, match="kill switch is on"):
                await orders.place(*SYMBOL, **limit(place.price()))

    run(main())


def test_a_batch_that_gets_no_allowance_leaves_those_before_it_with_their_states(tmp_path: Path) -> None:
    async def main() -> None:
        limits = dataclasses.replace(WIDE, max_open_orders=100, max_orders_per_s=100)
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            low, symbol = place.price(), SYMBOL[1]
            batch = [{"symbol": symbol, **limit(low, "0.001")}] * 11
            sender, begin = orders.venue.sender, orders.venue.sender.begin

            def begin_and_exhaust(*args: Any, **options: Any) -> None:
                begin(*args, **options)
                sender.buckets.exhausted("order/create-batch", "linear", orders.venue.live.mono_ms() + 60_000)

            sender.begin = begin_and_exhaust
            found = await orders.place_batch("linear", batch)
            assert [isinstance(one, Refused) for one in found] == [False] * 10 + [True]
            assert str(found[10]).startswith("batch was not sent: create-batch of linear would wait")
            assert len(await place.open_orders()) == 10
            left = [{"symbol": symbol, **limit(low, "0.001")}]
            assert isinstance((await orders.place_batch("linear", left))[0], Refused)

    run(main())


def test_the_kill_switch_cancels_one_by_one_where_rest_does_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:
            order = await orders.place(*SYMBOL, **limit(place.price()))
            await order.until(lambda order: order.state is State.LIVE)
            refusals = [HttpStatusError("rest", 403, "wait ten minutes")]
            cancel_all = orders.cancel_all

            async def once_banned(*symbol: str, **options: str) -> int:
                if refusals:
                    raise refusals.pop()
                return int(await cancel_all(*symbol, **options))

            orders.cancel_all = once_banned
            kill = asyncio.create_task(orders.kill("a test"))
            await order.done()
            assert (await place.open_orders(), order.state) == ([], State.CANCELLED)
            await kill

    run(main())


def test_after_a_fault_inside_nothing_is_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client() as orders:

            def fails(now_ms: int) -> None:
                raise AssertionError(now_ms)

            orders.account.passed = fails
            await becomes(lambda: orders.venue.fault is not None)
            with pytest.raises(OrderRefusedError, match="is not reconciled"):
                await orders.place(*SYMBOL, **limit(place.price()))
            assert "fault in the order client: nothing is sent any more" in caplog.text

    run(main())


def test_where_there_is_no_order_entry_orders_go_by_rest(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, environment="mainnet") as place, place.client("demo") as orders:
            order = await orders.place(*SYMBOL, **limit(place.price()))
            await order.until(lambda order: order.state is State.LIVE)
            await orders.amend(order, qty="0.02")
            await orders.cancel(order)
            assert (await order.done()).state is State.CANCELLED
            await place.tell("faults", [{"fault": "http_after"}, LOST])
            doubtful = await orders.place(*SYMBOL, **limit(place.price()))
            assert doubtful.state is State.UNKNOWN
            await doubtful.until(lambda order: order.state is State.LIVE)

    run(main())


def test_a_feed_of_another_environment_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, environment="mainnet") as place, place.client() as orders:
            with pytest.raises(OrderRefusedError, match="of the feed and of the orders are not the same"):
                await orders.place(*SYMBOL, **limit(place.price()))

    run(main())


def test_the_limits_of_a_client_count_what_is_open(tmp_path: Path) -> None:
    async def main() -> None:
        limits = dataclasses.replace(WIDE, max_open_orders=1)
        async with floor(tmp_path) as place, place.client(limits=limits) as orders:
            first = await orders.place(*SYMBOL, **limit(place.price()))
            with pytest.raises(OrderRefusedError, match="as many as max_open_orders allows"):
                await orders.place(*SYMBOL, **limit(place.price()))
            await orders.cancel(first)
            await first.done()
            await orders.place(*SYMBOL, **limit(place.price()))

    run(main())
