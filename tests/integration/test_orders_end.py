"""How a client ends: by the kill signal, and when several ask it to cancel."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.orders import OrderClient, OrderRefusedError, State
from tests.support.loops import run
from tests.support.trading import SYMBOL, floor


def test_a_signal_pulls_the_kill_switch(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as place, place.client(kill_signal=signal.SIGUSR2) as orders:
            price = place.price()
            order = await orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=price)
            os.kill(os.getpid(), signal.SIGUSR2)
            assert (await order.done()).state is State.CANCELLED
            with pytest.raises(OrderRefusedError, match="kill switch is on"):
                await orders.place(*SYMBOL, side="Buy", order_type="Limit", qty="0.01", price=price)
            assert orders.kill_switch.reason == "signal SIGUSR2"

    run(main())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_exit": "forget"}, "on_exit was 'forget'; is no choice: use cancel or keep"),
        ({"categories": ("liner",)}, "categories was 'liner'; is not traded: use linear"),
        ({"on_exitt": "keep"}, "on_exitt was 'keep'; there is no such option: use on_exit"),
        ({"watchdog_s": 0.1}, "watchdog_s was 0.1; is 1 to 300, or 0 for none"),
        ({"answer_timeout_s": 30.0}, "answer_timeout_s was 30.0; is above 0, at most 7"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        OrderClient(**options)
