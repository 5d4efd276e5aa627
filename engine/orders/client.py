"""`OrderClient`: orders, account and guards put together."""

import asyncio
import logging
import random as random_module
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self, Unpack

from engine.bybit.account_rest import AccountRest
from engine.bybit.credentials import Credentials
from engine.clock import Clock, SystemClock
from engine.errors import ConfigError, TapeheadError
from engine.orders.account import Account
from engine.orders.audit import Trail
from engine.orders.audit import order as order_record
from engine.orders.desk import Desk
from engine.orders.events import AccountEvent, OrderEvent
from engine.orders.gate import Books, Gate
from engine.orders.guards import Block
from engine.orders.ids import Intents, next_boot
from engine.orders.kill import KillSwitch
from engine.orders.live_order import LiveOrder
from engine.orders.options import ClientOptionNames, ClientOptions, client_options
from engine.orders.teller import Teller, symbol_of
from engine.orders.venue import Venue
from engine.orders.watchdog import Watchdog
from ext.listener import Listener

__all__ = ["OrderClient"]

logger = logging.getLogger("tapehead")

KILL_RETRY_S: Final = 1.0
CLEAR_S: Final = 15.0  # how long cancelling all of ours may take at the end


class OrderClient(Desk):
    """Sends orders to one account and knows the state of each; docs/orders.md is the contract.

    Use it as ``async with OrderClient(...) as orders``: inside, everything that was before is known, and on
    the way out our open orders are cancelled unless ``on_exit="keep"``. ``environment`` is testnet unless
    another is named. ``feed`` (an `engine.Feed`) is where guards see books; without one give
    ``limits=Limits(needs_book=False)``. ``listener`` (the feed's, unless told) gets ``on_order`` and the
    other callbacks about the account. ``credentials`` come from the environment's variables unless given.
    ``url`` and ``rest_url`` replace the base URLs of streams and REST. ``audit(payload)`` takes the records
    of `engine.orders.audit`. Further options are those of `engine.orders.options.ClientOptions`.

    What a method raises was not sent; what it sent has a state. One thread, one event loop.
    """

    def __init__(
        self,
        environment: str = "testnet",
        *,
        feed: Books | None = None,
        listener: Listener | None = None,
        credentials: Credentials | None = None,
        region: str = "",
        url: str | None = None,
        rest_url: str | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_module.random,
        audit: Callable[[bytes], object] | None = None,
        **options: Unpack[ClientOptionNames],
    ) -> None:
        self.environment = environment
        self.options = client_options(**options)
        credentials = credentials or Credentials.load(environment)
        if credentials.environment != environment:
            rule = f"the key is one of {credentials.environment}"
            raise ConfigError("environment", environment, rule, "name the key's own environment")
        clock = clock or SystemClock()
        boot = _count_start(self.options)
        intents = Intents(self.options.instance, boot)
        account = Account(intents.is_ours, LiveOrder)
        self.trail = Trail(audit)
        venue = Venue(
            credentials,
            account,
            self.options,
            name=f"{self.options.instance}-{boot}",
            is_first=boot == 1,
            region=region,
            url=url,
            rest_url=rest_url,
            clock=clock,
            random=random,
            trail=self.trail,
            tell=self._tell_all,
            on_change=self._set_blocks,
            on_lost=self._lost,
        )
        gate = Gate(self.options.limits, account, feed, environment, clock)
        super().__init__(account, intents, gate, venue, clock, self.trail, self._tell_all)
        self.teller = Teller(listener or getattr(feed, "listener", None))
        self.positions = AccountRest(venue.rest)
        self.kill_switch = KillSwitch(
            self._stop, file=self.options.kill_file, signal_number=self.options.kill_signal
        )
        self._watchdog = Watchdog(
            environment,
            self.options,
            credentials.mark,
            venue.rest.url,
            intents.prefix,
            on_gone=self._unwatched,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._clearing: asyncio.Task[None] | None = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        await self.venue.__aenter__()
        self._is_open = True
        try:
            self._set_blocks()
            self._spawn(self.kill_switch.run())
            self._spawn(self._watch_blocks())
            if self.options.watchdog_s:
                await self._watchdog.start()
            if self.options.at_start == "cancel":
                await self._clear("at the start")
        except BaseException:
            await self._close(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gate.guard.block(Block.KILLED, True)
        try:
            if self.options.on_exit == "cancel":
                await self._clear("at the end")
        finally:
            await self._close(kind, error, traceback)

    async def kill(self, reason: str = "called") -> None:
        """Pull the kill switch: nothing is sent any more, and all orders are cancelled, whoever sent them."""
        self.kill_switch.pull(reason)
        while self._clearing is not None and not self._clearing.done():
            await asyncio.wait([self._clearing])

    # inside

    def _tell_all(self, events: Sequence[AccountEvent]) -> None:
        if not events:
            return
        self.gate.exposed({symbol for event in events if (symbol := symbol_of(event)) is not None})
        for event in events:
            if isinstance(event, OrderEvent):
                self.trail.put(order_record, event)
        self.teller.tell(events)

    def _set_blocks(self) -> None:
        guard, limits = self.gate.guard, self.options.limits
        guard.block(Block.NOT_AUTHENTICATED, not self.venue.is_entry_ready)
        is_known = self.venue.live.is_reconciled and self.venue.fault is None
        guard.block(Block.NOT_RECONCILED, not is_known)
        guard.block(Block.CLOCK, self.venue.clock_uncertainty_ms > limits.max_clock_uncertainty_ms)
        self.fast.refresh()

    async def _watch_blocks(self) -> None:
        while True:
            self._set_blocks()
            self.fast.look()
            await asyncio.sleep(0.1)

    def _lost(self) -> None:
        self._set_blocks()
        if self._is_open and self.options.on_disconnect == "cancel" and not self.kill_switch.is_pulled:
            self._clear_soon(self.cancel_ours())

    def _stop(self, reason: str) -> None:
        self.gate.guard.block(Block.KILLED, True)
        self.fast.drain()
        logger.error("kill switch (%s): nothing is sent any more, all orders are cancelled", reason)
        if self._clearing is not None:
            self._clearing.cancel()
        self._clearing = None
        self._clear_soon(self._cancel_everything())

    def _unwatched(self) -> None:
        self.gate.guard.block(Block.KILLED, True)
        logger.error("the watchdog is gone: nothing is sent any more")

    def _clear_soon(self, clearing: Coroutine[Any, Any, None]) -> None:
        if self._clearing is not None and not self._clearing.done():
            clearing.close()
            return
        self._clearing = self._spawn(clearing)

    async def _cancel_everything(self) -> None:
        """Cancel all by REST, then what is left one by one, again and again until nothing is open."""
        while True:
            results = await asyncio.gather(
                *(self.cancel_all(category) for category in self.options.categories if category != "inverse"),
                *(self.cancel_all(*symbol) for symbol in self._inverse_symbols()),
                return_exceptions=True,
            )
            failures = [str(one) for one in results if isinstance(one, TapeheadError)]
            if not failures and not self.account.open_orders():
                return
            for failure in failures:
                logger.error("kill switch: %s", failure)
            # REST may be banned, and of spot it takes no conditional ones.
            left = self.account.open_orders()
            await asyncio.gather(*(self._cancel_one(order) for order in left), return_exceptions=True)
            if self.account.open_orders():
                await asyncio.sleep(KILL_RETRY_S)

    def _inverse_symbols(self) -> set[tuple[str, str]]:
        return {("inverse", order.intent.symbol) for order in self.account.open_orders("inverse")}

    async def _clear(self, when: str) -> None:
        try:
            async with asyncio.timeout(CLEAR_S):
                await self.cancel_ours()
        except TimeoutError:
            left = ", ".join(order.name for order in self.account.open_orders() if order.is_ours)
            logger.error("orders that could not be cancelled %s: %s", when, left)

    def _spawn(self, running: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watchdog.stop()
        await self.venue.__aexit__(kind, error, traceback)


def _count_start(options: ClientOptions) -> int:
    options.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return next_boot(options.state_folder / f"{options.instance}.starts")
