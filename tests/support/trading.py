"""An order client on the simulator's exchange, with a feed beside it: for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

import engine
from engine.orders import Credentials, Limits, LiveOrder, OrderClient, OrderEvent
from tests.support.simulator_process import SimulatorProcess, simulated

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
MARKET = ("--symbols", "linear:BTCUSDT", "--rate", "50")
SYMBOL = ("linear", "BTCUSDT")
WIDE = Limits(max_order_notional=Decimal(100_000), max_position_notional=Decimal(1_000_000))


class Seen(engine.Listener):
    """Keeps what the account told."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str, str, bool]] = []
        self.executions: list[Any] = []
        self.positions: list[Any] = []
        self.wallets: list[Any] = []

    def on_order(self, event: OrderEvent) -> None:
        self.orders.append((event.order.link_id, event.state, event.cause, event.is_reconciled))

    def on_execution(self, event: Any) -> None:
        self.executions.append(event)

    def on_position(self, event: Any) -> None:
        self.positions.append(event)

    def on_wallet(self, event: Any) -> None:
        self.wallets.append(event)

    def states(self, order: LiveOrder) -> list[str]:
        """Return the states that an order was told to be in."""
        return [state for link_id, state, _, _ in self.orders if link_id == order.link_id]


class Floor:
    """An exchange with one account, and clients of it that share a feed."""

    def __init__(self, simulator: SimulatorProcess, feed: engine.Feed, folder: Path) -> None:
        self.simulator = simulator
        self.feed = feed
        self.seen = Seen()
        self._folder = folder

    def client(
        self, environment: str = "testnet", key: str = KEY, secret: str = SECRET, **options: Any
    ) -> Any:
        """Return a client of the account, not yet open."""
        options = {"limits": WIDE, "state_folder": self._folder, "answer_timeout_s": 0.5} | options
        return OrderClient(
            environment,
            feed=self.feed,
            listener=self.seen,
            credentials=Credentials(environment, key, secret),
            url=self.simulator.ws,
            rest_url=self.simulator.rest,
            **options,
        )

    def price(self, share: str = "0.97") -> str:
        """Return a share of the best bid, on the grid."""
        book = self.feed.book(*SYMBOL, 50)
        assert book is not None
        assert book.best_bid is not None
        return str(int(Decimal(book.best_bid[0]).scaleb(-book.price_scale) * Decimal(share)))

    async def ask(self, name: str) -> Any:
        """Ask the exchange for ``log``, ``accounts`` or ``faults``."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.simulator.rest}/simulator/exchange/{name}") as answer,
        ):
            return await answer.json()

    async def tell(self, name: str, body: Any) -> Any:
        """Arm ``faults``, let somebody ``trade`` ...."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.simulator.rest}/simulator/exchange/{name}", json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def open_orders(self) -> list[str]:
        """Return the orderLinkIds that are live at the exchange."""
        (account, *_) = (await self.ask("accounts"))["accounts"]
        return [row["orderLinkId"] for row in account["live"]]


@asynccontextmanager
async def floor(
    folder: Path, *accounts: str, environment: str = "testnet", ahead_s: int = 0
) -> AsyncIterator[Floor]:
    """Run an exchange, whose clock is ``ahead_s`` ahead of ours, and a feed of it."""
    named = [part for account in accounts or (f"{KEY}:{SECRET}:1000000",) for part in ("--account", account)]
    clock = ["--start-ms", str(round((time.time() + ahead_s) * 1_000))] if ahead_s else []
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(simulated(*MARKET, *named, *clock))
        feed = engine.Feed(engine.Listener(), environment, url=simulator.ws, rest_url=simulator.rest)
        feed.subscribe(SYMBOL[0], [SYMBOL[1]])
        await stack.enter_async_context(feed)
        book = feed.book(*SYMBOL, 50)
        while book is None or book.state is not engine.BookState.LIVE:
            await feed.changed()
            book = feed.book(*SYMBOL, 50)
        yield Floor(simulator, feed, folder)


async def becomes(is_so: Callable[[], bool]) -> None:
    """Return once it is so."""
    while not is_so():  # noqa: ASYNC110 - what is asked for has no event of its own
        await asyncio.sleep(0.005)
