"""Drives one Session over a connection, and opens the next one when it ends."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from picows import WSError, WSMsgType

from engine.backoff import Allowance, Backoff
from engine.clock import NS_PER_S, Clock
from engine.config import FeedOptions
from engine.decisions import STOPPED, Decision, obey
from engine.session import Session
from engine.websocket import Opener, Transport, close_reason, failure_reason
from ext.dispatch import Dispatcher
from ext.frames import FrameListener
from ext.journal import Journal

__all__ = ["Connection"]

logger = logging.getLogger("tapehead")

# A connection that lived this long has earned a quick first attempt at the next one.
STEADY_S = 10.0
CLOSE_TIMEOUT_S = 1.0


class Connection:
    """Keeps one connection open, for ever, and does what its Session decides.

    Everything happens on the event loop's thread. Decisions are taken between receive batches, never inside
    one: each is recorded (with a journal) and obeyed before the next frame is read, so a replay meets them in
    the same order.
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
        journal: Journal | None = None,
    ) -> None:
        self.session = session
        self.frames = FrameListener(
            dispatcher,
            self,
            leg=session.leg,
            connection=session.connection,
            journal=journal,
            message_bytes_max=options.message_bytes_max,
        )
        self._counted = Counter(attempts=0, failed_attempts=0, faults=0)
        self._dispatcher = dispatcher
        self._options = options
        self._clock = clock
        self._backoff = Backoff(options.reconnect_delay_s, options.reconnect_delay_max_s, random)
        self._allowance = allowance
        self._opener = opener
        self._journal = journal
        self._transport: Transport | None = None
        self._opened_ns = 0
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

    # what the dispatcher tells (see ext.listener.Control)

    def on_message(self, message: object) -> None:
        """A control message was decoded."""
        self.session.message(message, self._clock.now())
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
        self.session.disconnected(self._clock.now(), reason, str(error) or type(error).__name__)
        self._advance()

    async def _shut(self) -> None:
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
            self._decide()
            self._send()
        except Exception as error:  # noqa: BLE001 - the next deadline must be set whatever happened
            self.on_fault(error)
        if self.session.reconnect_cause is not None:
            self.on_broken(self.session.reconnect_cause, "")
        self._set_timer()

    def _decide(self) -> None:
        """Record and obey; what cannot be recorded is obeyed all the same: no book may stay LIVE."""
        decisions = self.session.take_decisions()
        positions = [0] * len(decisions)
        try:
            positions = self._record(decisions)
        except Exception as error:  # noqa: BLE001 - as above
            self.on_fault(error)
        for decision, position in zip(decisions, positions, strict=True):
            try:
                obey(self._dispatcher, decision.kind, decision.payload, decision.recv_ns, position)
            except Exception as error:  # noqa: BLE001 - one decision must not keep the next from being obeyed
                self.on_fault(error)

    def _record(self, decisions: Sequence[Decision]) -> list[int]:
        """Append decisions to the journal, if there is one; return their positions."""
        if self._journal is None or not decisions:
            return [0] * len(decisions)
        positions = [
            self._journal.append_record(
                decision.kind,
                decision.encoded(),
                self.session.connection,
                decision.recv_ns,
                decision.mono_ns,
            )
            for decision in decisions
        ]
        self._journal.commit()
        return positions

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
