"""An account kept in step with the venue: its streams, and what REST is asked where they left off."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from engine.bybit.http import Http, rows
from engine.bybit.models import read_execution, read_greeks, read_order, read_position, read_wallet
from engine.clock import Clock
from engine.errors import AnswerError, TapeheadError
from engine.orders.account import Account
from engine.orders.events import AccountEvent
from engine.orders.private import PrivateSession, Push
from engine.orders.reconcile import Ask, Reconciler, Row, read_rows

__all__ = ["LiveAccount"]

logger = logging.getLogger("tapehead")

TICK_S: Final = 0.1
NS_PER_MS: Final = 1_000_000


class LiveAccount:
    """Feeds an `Account` from the private session's pushes and from the answers its `Reconciler` asks for.

    ``tell`` takes the events of each fact, at once and in order. What cannot be read is counted, and
    everything is asked for again: a fact was missed.
    """

    def __init__(
        self,
        account: Account,
        session: PrivateSession,
        http: Http,
        *,
        categories: Iterable[str],
        clock: Clock,
        tell: Callable[[Sequence[AccountEvent]], object],
        on_lost: Callable[[], object],
    ) -> None:
        self.account = account
        self.session = session
        self.unread = 0
        self.failed_asks = 0
        self.last_failure = ""
        self._categories = tuple(categories)
        self._reconciler = Reconciler(account, self._categories, 0)
        self._http = http
        self._clock = clock
        self._tell = tell
        self._on_lost = on_lost
        self._is_subscribed = False
        self._soon = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()

    def begin(self, server_ms: int, *, is_first: bool) -> None:
        """The program starts now, by the venue's clock; unless ``is_first`` an earlier one may have sent."""
        earlier_ms = 0 if is_first else server_ms
        self._reconciler = Reconciler(self.account, self._categories, server_ms, earlier_ms)

    @property
    def is_reconciled(self) -> bool:
        """Whether the streams are subscribed and everything before them is known."""
        return self._reconciler.is_reconciled

    async def run(self) -> None:
        """Ask what is due and notice what is overdue; returns only by being cancelled."""
        try:
            while True:
                self._tell(self.account.passed(self.mono_ms()))
                server_ms = self._http.server_ms()
                for ask in [] if server_ms is None else self._reconciler.due(server_ms):
                    self._spawn(self._ask(ask))
                self._soon.clear()
                try:
                    await asyncio.wait_for(self._soon.wait(), TICK_S)
                except TimeoutError:
                    continue
        finally:
            for task in self._asking:
                task.cancel()

    def on_change(self) -> None:
        """The session may have changed: a push, a subscription, a connection that came or went."""
        for push in self.session.take_pushes():
            self._push(push)
        if self.session.is_subscribed != self._is_subscribed:
            self._is_subscribed = self.session.is_subscribed
            if self._is_subscribed:
                self._sweep()
            else:
                self._reconciler.disconnected()
                self._on_lost()

    def soon(self) -> None:
        """There may be something to ask: an order came to be in doubt."""
        self._soon.set()

    def mono_ms(self) -> int:
        """The clock by which the account knows what is overdue."""
        return self._clock.now().mono_ns // NS_PER_MS

    def _sweep(self) -> None:
        server_ms = self._http.server_ms()
        wall_ms = self._clock.now().wall_ns // NS_PER_MS
        self._reconciler.subscribed(wall_ms if server_ms is None else server_ms)
        self.soon()

    def _push(self, push: Push) -> None:
        for raw in push.rows:
            try:
                events = self._take(push, raw)
            except AnswerError as error:
                self.unread += 1
                logger.error(
                    "a row of %s cannot be read, everything is asked for again: %s", push.topic, error
                )
                if self._is_subscribed:  # else a sweep is to come
                    self._sweep()
            else:
                self._tell(events)

    def _take(self, push: Push, raw: Any) -> list[AccountEvent]:
        match push.topic:
            case "order":
                return self.account.take_order(read_order(raw, push.category))
            case "execution" | "execution.fast":
                return self.account.take_execution(read_execution(raw, push.category))
            case "position":
                return self.account.take_position(read_position(raw, push.category))
            case "wallet":
                return self.account.take_wallet(read_wallet(raw, push.created_ms))
            case "greeks":
                return self.account.take_greeks(read_greeks(raw))
            case "spread.order":
                return self.account.take_order(read_order(raw, "spread"))
            case "spread.execution":
                return self.account.take_execution(read_execution(raw, "spread"))
        return []

    def _spawn(self, asking: Awaitable[None]) -> None:
        task = asyncio.ensure_future(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, ask: Ask) -> None:
        try:
            asked_ms = self._http.timestamp_ms()
            found: list[Row] = []
            errors: list[AnswerError] = []
            async for page in self._http.pages(f"/v5/{ask.what}", ask.params, signed=True):
                read, unread = read_rows(ask, rows(page), page.time_ms)
                found += read
                errors += unread
        except TapeheadError as error:
            self.failed_asks += 1
            self.last_failure = str(error)
            self._reconciler.failed(ask, self._http.server_ms() or 0)
            return
        except Exception as error:
            self.failed_asks += 1
            self.last_failure = repr(error)
            logger.error("fault in a question for %s, asked again", ask.what, exc_info=error)
            self._reconciler.failed(ask, self._http.server_ms() or 0)
            return
        for problem in errors:
            self.unread += 1
            logger.error("a row of %s cannot be read: %s", ask.what, problem)
        self._tell(self._reconciler.answered(ask, found, asked_ms, unread=len(errors)))
        self.soon()
