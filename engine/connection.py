"""Drives one Session over a connection, and opens the next one when it ends."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable

from picows import WSError, WSMsgType

from engine.backoff import Allowance, Backoff
from engine.clock import NS_PER_S, Clock
from engine.config import FeedOptions
from engine.decider import Decider
from engine.decisions import STOPPED
from engine.gauges import waiting_bytes
from engine.session import Session
from engine.websocket import Opener, Transport, close_reason, failure_reason, socket_of
from ext.dispatch import Dispatcher
from ext.frames import FrameListener

__all__ = ["Connection"]

logger = logging.getLogger("tapehead")

# A connection that lived this long has earned a quick first attempt at the next one.
STEADY_S = 10.0
CLOSE_TIMEOUT_S = 1.0
# Connections of the same age are not all exchanged at once: each at 80 to 100 % of the time.
ROTATION_SPREAD = 0.2


class Connection:
    """Keeps one connection open, for ever, and does what its Session decides.

    Everything happens on the event loop's thread. Decisions are carried out before the next frame is read and
    before anything is sent. ``on_change`` is called after that, whenever there may have been any.
    """

    def __init__(
        self,
        session: Session,
        dispatcher: Dispatcher,
        options: FeedOptions,
        *,
        clock: Clock,
        random: Callable[[], float],
        allowance: Allowance,
        opener: Opener,
        decider: Decider,
        on_change: Callable[[], object],
    ) -> None:
        self.session = session
        self.frames = FrameListener(
            dispatcher,
            self,
            leg=session.leg,
            connection=session.connection,
            journal=decider.journal,
            message_bytes_max=options.message_bytes_max,
        )
        self._counted = Counter(attempts=0, failed_attempts=0, faults=0)
        self._dispatcher = dispatcher
        self._options = options
        self._clock = clock
        self._random = random
        self._backoff = Backoff(options.reconnect_delay_s, options.reconnect_delay_max_s, random)
        self._allowance = allowance
        self._opener = opener
        self._decider = decider
        self._on_change = on_change
        self._transport: Transport | None = None
        self._opened_ns = 0
        self._old_ns = 0
        self._pongs: list[asyncio.Future[float]] = []
        self._drop_cause: tuple[str, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._logged: set[type[Exception]] = set()

    async def run(self) -> None:
        """Connect, and connect again whenever that ends; returns only by being cancelled."""
        self._advance()
        try:
            while True:
                await self._live_once()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            await self._shut()

    def want(self, topics: Iterable[str]) -> None:
        """Want these topics too, as soon as the callbacks of the present batch are through."""
        self.session.add(topics, self._clock.now())
        self._schedule()

    def discard(self, topics: Iterable[str]) -> None:
        """Want these topics no more."""
        self.session.remove(topics, self._clock.now())
        self._schedule()

    def stalled(self, topics: Iterable[str], start_ns: int, detail: str) -> None:
        """Topics turned out to be dead, since ``start_ns`` on the wall clock."""
        self.session.stalled(topics, start_ns, detail, self._clock.now())
        self._schedule()

    def leave(self) -> None:
        """Want nothing any more; whoever runs this ends it."""
        self.session.leave(self._clock.now())
        self._schedule()

    def note(self, kind: str, detail: str) -> None:
        """Have an event told that concerns this connection."""
        self.session.note(kind, detail, self._clock.now())
        self._schedule()

    def postpone(self, seconds: float) -> None:
        """Do not count as old for so long."""
        self._old_ns = self._clock.now().mono_ns + round(seconds * NS_PER_S)

    @property
    def is_old(self) -> bool:
        """Whether the present connection has been open for so long that it is to be exchanged."""
        return self._transport is not None and self._clock.now().mono_ns >= self._old_ns

    async def ping(self) -> float | None:
        """Ping now; return the round-trip in seconds, None where there was no pong in time."""
        if self._transport is None:
            return None
        pong: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self.session.ping(self._clock.now())
        self._advance()
        try:
            async with asyncio.timeout(self._options.pong_timeout_s):
                return await pong
        except TimeoutError:
            return None
        finally:
            self._pongs.remove(pong)

    @property
    def transport(self) -> Transport | None:
        """The open connection, if there is one."""
        return self._transport

    @property
    def counters(self) -> Counter[str]:
        """Everything counted since the start."""
        frames = self.frames
        total = Counter(
            frames_received=frames.frames,
            bytes_received=frames.bytes,
            fragments_received=frames.fragments,
            frames_unrecorded=frames.unrecorded,
        )
        total.update(self._counted)
        total.update(self.session.counters)
        return total

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the kernel has received that nobody has read; 0 without a socket."""
        raw = None if self._transport is None else socket_of(self._transport)
        return 0 if raw is None else waiting_bytes(raw)

    # what the dispatcher tells (see ext.listener.Control)

    def on_message(self, message: object) -> None:
        """A control message was decoded."""
        pongs = self.session.pongs
        self.session.message(message, self._clock.now())
        if self.session.pongs > pongs:
            for waiting in self._pongs:
                if not waiting.done():
                    waiting.set_result(self.session.rtt_ns / NS_PER_S)
        self._schedule()

    def on_desync(self, topic: str) -> None:
        """A book needs a new snapshot."""
        self.session.desync(topic, self._clock.now())
        self._schedule()

    def on_sync(self, topic: str) -> None:
        """A book got its snapshot."""
        self.session.sync(topic, self._clock.now())
        self._schedule()

    # what the FrameListener tells

    def on_connected(self, transport: Transport) -> None:
        """The handshake is complete; frames may follow at once, so the session hears of it now."""
        self._transport = transport
        self._drop_cause = None
        now = self._clock.now()
        self._opened_ns = now.mono_ns
        self.postpone(self._options.rotate_after_s * (1 - ROTATION_SPREAD * self._random()))
        self.session.connected(now)
        self._advance()

    def on_disconnected(self, transport: Transport) -> None:
        """The socket is closed, by whomever."""
        now = self._clock.now()
        if now.mono_ns - self._opened_ns >= STEADY_S * NS_PER_S:
            self._backoff.reset()
        self._transport = None
        cause, detail = self._drop_cause or close_reason(transport)
        self.session.disconnected(now, cause, detail)
        self._advance()

    def on_fault(self, error: Exception) -> None:
        """Something was raised that should not have been: counted, logged once per kind, survived."""
        self._counted["faults"] += 1
        if type(error) not in self._logged:
            self._logged.add(type(error))
            logger.error(
                "fault on connection %d (%s)", self.session.connection, self.session.url, exc_info=error
            )

    def on_broken(self, cause: str, detail: str) -> None:
        """The stream cannot be followed any further: replace the connection."""
        if self._transport is not None and self._drop_cause is None:
            self._drop_cause = (cause, detail)
            self._transport.disconnect(graceful=False)

    # inside

    async def _live_once(self) -> None:
        """One connection from its opening to its end; whatever goes wrong with it ends here."""
        await asyncio.sleep(self._allowance.reserve_s(self._clock.now().mono_ns))
        self._counted["attempts"] += 1
        try:
            transport = await self._opener(self.frames, self.session.url, self._options)
        except Exception as error:  # noqa: BLE001 - a feed outlives every way in which an attempt can fail
            self._attempt_failed(error)
            return
        try:
            await transport.wait_disconnected()
        except WSError as error:
            logger.debug("connection %d ended: %s", self.session.connection, error)
        except Exception as error:  # noqa: BLE001 - as above
            self.on_fault(error)

    def _attempt_failed(self, error: Exception) -> None:
        self._counted["failed_attempts"] += 1
        reason = failure_reason(error)
        if reason == "internal":
            self.on_fault(error)
        if self._transport is not None:
            self.on_broken(reason, str(error))
            return
        self.session.connect_failed(self._clock.now(), reason, str(error) or type(error).__name__)
        self._advance()

    async def _shut(self) -> None:
        self._carry_out()
        if self._transport is not None:
            transport = self._transport
            self._drop_cause = (STOPPED, "by this side")
            transport.send_close()
            transport.disconnect()
            with contextlib.suppress(TimeoutError, WSError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await transport.wait_disconnected()
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()

    def _schedule(self) -> None:
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._advance)

    def _advance(self) -> None:
        """Let the session do what is due, do as it decided, and come back at its deadline."""
        self._soon = None
        self.session.heard(self.frames.last_mono_ns)
        try:
            self.session.tick(self._clock.now())
            self._carry_out()
            self._send()
        except Exception as error:  # noqa: BLE001 - the next deadline must be set whatever happened
            self.on_fault(error)
        if self.session.reconnect_cause is not None:
            self.on_broken(self.session.reconnect_cause, "")
        self._set_timer()
        self._on_change()

    def _carry_out(self) -> None:
        decisions = self.session.take_decisions()
        if decisions:
            self._decider.carry_out(self._dispatcher, decisions, self.session.connection, self.on_fault)

    def _send(self) -> None:
        for message in self.session.take_sends():
            if self._transport is not None:
                self._transport.send(WSMsgType.TEXT, message)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        deadline_ns = self.session.deadline_ns
        if deadline_ns is None:
            self._timer = None
            return
        wait_s = max(0.0, (deadline_ns - self._clock.now().mono_ns) / NS_PER_S)
        self._timer = loop.call_later(wait_s, self._advance)
