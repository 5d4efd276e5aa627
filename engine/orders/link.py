"""Keeps one of the account's connections open, and does what its session says."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

import orjson
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport

from engine.backoff import Backoff
from engine.clock import NS_PER_S, Clock
from engine.config import FeedOptions
from engine.orders.login import LoginSession
from engine.websocket import Transport, WebsocketOpener, failure_reason

__all__ = ["Link"]

logger = logging.getLogger("tapehead")

STEADY_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
NS_PER_MS: Final = 1_000_000


class Link(WSListener):
    """One connection after another for one session; everything happens on the event loop's thread.

    ``server_ms`` tells the venue's time. ``on_change`` is called after whatever may have changed something:
    a message, a deadline, a connection that came or went. What it raises is counted and logged once a kind.
    """

    def __init__(
        self,
        session: LoginSession,
        url: str,
        *,
        options: FeedOptions,
        opener: WebsocketOpener,
        clock: Clock,
        random: Callable[[], float],
        server_ms: Callable[[], int | None],
        on_change: Callable[[], object],
    ) -> None:
        self.session = session
        self.url = url
        self.failures = 0
        self.faults = 0
        self.last_failure = ""
        self.transport: Transport | None = None
        self._options = options
        self._opener = opener
        self._clock = clock
        self._server_ms = server_ms
        self._on_change = on_change
        self._backoff = Backoff(options.reconnect_delay_s, options.reconnect_delay_max_s, random)
        self._opened_ns = 0
        self._partial: bytearray | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._logged: set[type[Exception]] = set()

    async def run(self) -> None:
        """Connect, and connect again whenever that ends; returns only by being cancelled."""
        try:
            while True:
                await self._live_once()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            await self._shut()

    def flush(self) -> None:
        """Send what the session has to send, and look again at its deadline."""
        if self.transport is not None:
            try:
                for message in self.session.take_sends():
                    self.transport.send(WSMsgType.TEXT, message)
            except Exception as error:  # noqa: BLE001 - what was not written is for the session to give up
                self._fault(error)
                self.drop()
        self._set_timer()

    def drop(self) -> None:
        """End this connection; the next one is opened at once or after a wait that grows."""
        if self.transport is not None:
            self.transport.disconnect(graceful=False)

    # what picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The socket is open."""
        self.transport = transport
        self._partial = None
        now = self._clock.now()
        self._opened_ns = now.mono_ns
        server_ms = self._server_ms()
        self.session.connected(now, now.wall_ns // NS_PER_MS if server_ms is None else server_ms)
        self._advance()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came."""
        try:
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(WSCloseCode.OK)
                transport.disconnect()
            elif frame.msg_type == WSMsgType.TEXT and frame.fin and self._partial is None:
                self._message(frame.get_payload_as_memoryview())
            elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
                self._fragment(frame)
        except Exception as error:  # noqa: BLE001 - one frame must not end the connection, or pass into picows
            self._fault(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is closed, by whomever."""
        now = self._clock.now()
        if now.mono_ns - self._opened_ns >= STEADY_S * NS_PER_S and self.session.login_error is None:
            self._backoff.reset()
        self.transport = None
        self.session.disconnected(now)
        self._advance()

    # inside

    async def _live_once(self) -> None:
        """One connection from its opening to its end; whatever goes wrong with it ends here."""
        try:
            transport = await self._opener(self, self.url, self._options)
            await transport.wait_disconnected()
        except WSError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a client outlives every way in which an attempt can fail
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        reason = failure_reason(error)
        self.last_failure = f"{reason}: {error}"
        if reason == "internal":
            self._fault(error)
        self._tell()

    async def _shut(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is None:
            return
        transport = self.transport
        transport.send_close()
        transport.disconnect()
        with contextlib.suppress(TimeoutError, WSError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await transport.wait_disconnected()

    def _message(self, payload: bytes | bytearray | memoryview) -> None:
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            message = None
        self.session.message(message, self._clock.now())
        self._advance()

    def _fragment(self, frame: WSFrame) -> None:
        if self._partial is None:
            self._partial = bytearray()
        self._partial += frame.get_payload_as_bytes()
        if len(self._partial) > MESSAGE_BYTES_MAX:
            self._partial = None
            self.drop()
        elif frame.fin:
            message, self._partial = self._partial, None
            self._message(message)

    def _advance(self) -> None:
        self.session.tick(self._clock.now())
        self._tell()
        self.flush()
        if self.session.reconnect_cause is not None:
            self.drop()

    def _tell(self) -> None:
        try:
            self._on_change()
        except Exception as error:  # noqa: BLE001 - the deadline must be set whatever happened
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        self.faults += 1
        if type(error) not in self._logged:
            self._logged.add(type(error))
            logger.error("fault on the connection to %s", self.url, exc_info=error)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline_ns = self.session.deadline_ns
        if deadline_ns is None or self.transport is None:
            self._timer = None
            return
        wait_s = max(0.0, (deadline_ns - self._clock.now().mono_ns) / NS_PER_S)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._advance)
