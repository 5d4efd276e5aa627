"""One account at the venue: REST, order entry, streams, and the clock between; opened, kept and closed."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from engine.bybit.credentials import Credentials
from engine.bybit.endpoints import private_url, trade_url
from engine.bybit.remedies import remedy
from engine.bybit.rest import RestClient
from engine.clock import Clock
from engine.config import FeedOptions
from engine.errors import ConnectError, RetCodeError, TapeheadError
from engine.orders.account import Account
from engine.orders.audit import Trail
from engine.orders.entry import EntrySession
from engine.orders.events import AccountEvent
from engine.orders.key import KeyInfo, check_key
from engine.orders.link import Link
from engine.orders.live_account import LiveAccount
from engine.orders.login import LoginSession
from engine.orders.options import ClientOptions
from engine.orders.order import ORDER_RECV_WINDOW_MS
from engine.orders.private import PrivateSession, topics
from engine.orders.sender import Sender
from engine.websocket import WebsocketOpener

__all__ = ["Venue"]

logger = logging.getLogger("tapehead")

CLOCK_INTERVAL_S: Final = 60.0
CLOCK_ERROR_MS_MAX: Final = 1_000
READY_POLL_S: Final = 0.02


class Venue:
    """Use it as ``async with``: it is left with everything closed. ``tell`` takes what the account tells.

    ``name`` begins request ids, ``is_first`` says that no program of this name started before.
    ``on_change`` is called after whatever may have changed a connection, ``on_lost`` when one is lost that
    was ready.
    """

    def __init__(
        self,
        credentials: Credentials,
        account: Account,
        options: ClientOptions,
        *,
        name: str,
        is_first: bool,
        region: str,
        url: str | None,
        rest_url: str | None,
        clock: Clock,
        random: Callable[[], float],
        trail: Trail,
        tell: Callable[[Sequence[AccountEvent]], object],
        on_change: Callable[[], object],
        on_lost: Callable[[], object],
    ) -> None:
        environment = credentials.environment
        self.rest = RestClient(
            environment,
            region=region,
            url=rest_url,
            credentials=credentials,
            timeout_s=options.answer_timeout_s,
            clock=clock,
            random=random,
            audit=trail.rest,
        )
        wanted = topics(
            options.categories,
            environment=environment,
            is_per_category=options.is_per_category,
            with_fast=options.with_fast,
            with_dcp=options.with_dcp,
        )
        entry_url = trade_url(environment, region=region, url=url, max_active_time=options.max_active_time)
        self.key: KeyInfo | None = None
        self._environment = environment
        self._options = options
        self._is_first = is_first
        self._clock = clock
        self._random = random
        self._opener = WebsocketOpener()
        self._on_change = on_change
        self._on_lost = on_lost
        self._was_ready = False
        self._private = PrivateSession(credentials, wanted)
        self._entry = (
            None if entry_url is None else EntrySession(credentials, name, timeout_s=options.answer_timeout_s)
        )
        self.sender = Sender(
            self.rest, self._entry, clock=clock, recv_window_ms=ORDER_RECV_WINDOW_MS, trail=trail
        )
        self.live = LiveAccount(
            account,
            self._private,
            self.rest,
            categories=options.categories,
            clock=clock,
            tell=tell,
            on_lost=on_lost,
        )
        private = private_url(environment, region=region, url=url, max_active_time=options.max_active_time)
        self._links = [self._link(self._private, private, self._private_changed)]
        if self._entry is not None and entry_url is not None:
            self.sender.link = self._link(self._entry, entry_url, self._entry_changed)
            self._links.append(self.sender.link)
        self.fault: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._soon = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.rest.__aenter__()
        try:
            await self.rest.sync_clock()
            self._warn_of_clock()
            self.live.begin(self.rest.timestamp_ms(), is_first=self._is_first)
            self.key = await check_key(self.rest, allow_withdrawal=self._options.allow_withdrawal)
            loop = asyncio.get_running_loop()
            runs = [link.run() for link in self._links] + [self.live.run(), self._keep_clock()]
            self._tasks = [loop.create_task(run) for run in runs]
            for task in self._tasks:
                task.add_done_callback(self._ended)
            async with asyncio.timeout(self._options.ready_timeout_s):
                while not self.is_ready:
                    self._check_logins()
                    await asyncio.sleep(READY_POLL_S)
        except TimeoutError:
            error = self._unready()
            await self.__aexit__(None, None, None)
            raise error from None
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sender.close()
        await self.rest.__aexit__(kind, error, traceback)

    @property
    def is_ready(self) -> bool:
        """Whether orders can be sent and everything is known."""
        return self.is_entry_ready and self.live.is_reconciled

    @property
    def connects(self) -> int:
        """How often a connection was opened, of both kinds."""
        return sum(link.session.connects for link in self._links)

    @property
    def is_entry_ready(self) -> bool:
        """Whether order requests can be written; those by REST always can."""
        return self._entry is None or self._entry.is_ready

    @property
    def ahead_ms(self) -> float:
        """How far this machine's clock is ahead of the venue's."""
        return self.rest.clock_error_ms() or 0.0

    @property
    def clock_uncertainty_ms(self) -> float:
        """How well the venue's clock is known; infinite where it is not."""
        return self.rest.server_clock.uncertainty_ms(self._clock.now().mono_ns)

    def drop_streams(self) -> None:
        """End the streams' connection; the next one subscribes anew, and everything is asked for."""
        self._links[0].drop()

    def distrust_clock(self) -> None:
        """The venue found a timestamp wrong: measure its clock again; until then nothing is sent."""
        self.rest.server_clock.forget()
        self._soon.set()

    def _link(self, session: LoginSession, url: str, on_change: Callable[[], object]) -> Link:
        return Link(
            session,
            url,
            options=FeedOptions(),
            opener=self._opener,
            clock=self._clock,
            random=self._random,
            server_ms=self.rest.server_ms,
            on_change=on_change,
        )

    def _private_changed(self) -> None:
        self.live.on_change()
        self._on_change()

    def _entry_changed(self) -> None:
        self.sender.take_results()
        is_ready = self.is_entry_ready
        if self._was_ready and not is_ready:
            self._on_lost()
        self._was_ready = is_ready
        self._on_change()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        self.fault = task.exception()
        logger.error("fault in the order client: nothing is sent any more", exc_info=self.fault)
        self._on_change()

    async def _keep_clock(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), CLOCK_INTERVAL_S)
            self._soon.clear()
            try:
                await self.rest.sync_clock()
            except TapeheadError as error:
                logger.warning("the venue's clock was not measured: %s", error)

    def _warn_of_clock(self) -> None:
        if abs(self.ahead_ms) >= CLOCK_ERROR_MS_MAX:
            word = "ahead of" if self.ahead_ms > 0 else "behind"
            logger.warning(
                "this machine's clock is %.1f s %s the venue's: set it (NTP); orders carry the venue's time",
                abs(self.ahead_ms) / 1_000,
                word,
            )

    def _check_logins(self) -> None:
        for link in self._links:
            if link.session.login_error is not None:
                code, message = link.session.login_error
                raise RetCodeError(link.url, code, message, remedy(code, self._environment))

    def _unready(self) -> TapeheadError:
        seconds = f"{self._options.ready_timeout_s:g} s"
        for link in self._links:
            if not link.session.is_ready:
                detail = link.last_failure or "no answer to the login"
                return ConnectError(link.url, "timeout", f"not ready after {seconds}: {detail}", "try again")
        detail = self.live.last_failure or "queries are not answered"
        return ConnectError(
            self.rest.url, "timeout", f"not reconciled after {seconds}: {detail}", "try again"
        )
