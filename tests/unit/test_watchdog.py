"""The watchdog's process: what it does at silence, at a goodbye, and when its parent is back."""

import asyncio
from typing import Any

import pytest

from engine.bybit.http import Http
from engine.orders import watchdog
from engine.orders.watchdog import BEAT, GOODBYE, Watch
from tests.support.loops import run


class Sweeps(Watch):
    """Finds an order to cancel in every sweep, as many as there are."""

    def __init__(self, orders: int) -> None:
        super().__init__(Http("testnet"), ["linear"], "bot1-")
        self.orders = orders
        self.swept = asyncio.Event()

    async def _cancel_in(self, category: str) -> int:
        found = min(self.orders, 1)
        self.orders -= found
        self.swept.set()
        return found


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.StreamReader]:
    """Return where the standard input appears once the watchdog opens it."""
    opened: list[asyncio.StreamReader] = []

    async def stdin() -> asyncio.StreamReader:
        opened.append(asyncio.StreamReader())
        return opened[0]

    monkeypatch.setattr(watchdog, "_stdin", stdin)
    monkeypatch.setattr(watchdog, "SWEEP_S", 0.001)
    monkeypatch.setattr(watchdog, "LATE_S", 0.01)
    return opened


def test_it_leaves_a_parent_alone_that_is_back(reader: list[asyncio.StreamReader], caplog: Any) -> None:
    async def main() -> None:
        watch = Sweeps(orders=1_000_000)  # the parent goes on placing
        running = asyncio.create_task(watch.run(0.05))
        await watch.swept.wait()
        assert "no sign of life" in caplog.text
        reader[0].feed_data(BEAT)
        await asyncio.sleep(0.01)
        reader[0].feed_data(GOODBYE)
        await running

    run(main(), 5)


def test_it_cancels_until_nothing_is_left_when_the_pipe_is_closed(reader: list[asyncio.StreamReader]) -> None:
    async def main() -> None:
        watch = Sweeps(orders=5)
        running = asyncio.create_task(watch.run(60))
        await asyncio.sleep(0)
        reader[0].feed_data(BEAT)
        reader[0].feed_eof()
        await running
        assert watch.orders == 0

    run(main(), 5)


def test_a_goodbye_cancels_nothing(reader: list[asyncio.StreamReader]) -> None:
    async def main() -> None:
        watch = Sweeps(orders=5)
        running = asyncio.create_task(watch.run(60))
        await asyncio.sleep(0)
        reader[0].feed_data(BEAT + GOODBYE)
        await running
        assert watch.orders == 5

    run(main(), 5)
