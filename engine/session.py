"""The sans-I/O brain of one connection: what to send, what was decided, when to look again.

Inputs (`connected`, `disconnected`, `message`, `desync`, `sync`, `stalled`, `heard`, `add`, `remove`) only
note what happened. `tick` does whatever is due and fills the outputs: `take_decisions`, `take_sends`,
`deadline_ns`, `reconnect_cause`. A driver calls `tick` after its inputs and again when the deadline comes;
decisions are to be recorded and obeyed before anything is sent. No socket, no clock, no thread, no callback.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from engine.bybit import replies
from engine.clock import NS_PER_S, Instant
from engine.config import FeedOptions
from engine.decisions import Decision
from engine.heartbeat import Heartbeat
from engine.subscriber import Subscriber
from engine.subscriptions import TopicState
from ext.journal import RecordKind

__all__ = ["Session"]

COUNTERS: Final = (
    "connects",
    "disconnects",
    "resyncs",
    "refusals",
    "rejected",
    "late_answers",
    "late_snapshots",
    "stalls",
    "stray_answers",
    "unknown_messages",
)

# Who comes so much too late to a deadline did not run, and then has so long to read what waited.
PAUSE_S: Final = 0.25
READ_S: Final = 2.0

PING: Final = b'{"op":"ping"}'


class Session(Subscriber):
    """One connection: open or not, alive or not, and by its `Subscriber` the topics it carries.

    ``connection`` and ``leg`` are the numbers that records and dispatcher calls carry. Not thread-safe.
    """

    def __init__(
        self, category: str, leg: int, options: FeedOptions, *, connection: int = 1, url: str = ""
    ) -> None:
        super().__init__(category, leg, connection, options)
        self.url = url
        self._counted.update(dict.fromkeys(COUNTERS, 0))
        self._is_down_noted = self._is_failure_noted = False
        self._down_since_ns = 0
        self._forgiven_ns = -1
        self._heartbeat = Heartbeat(_ns(options.ping_interval_s), _ns(options.pong_timeout_s))

    def add(self, names: Iterable[str], now: Instant) -> None:
        """Want these topics from now on; those already wanted are left alone. Raises TopicError."""
        super().add(names, now)
        if self._is_down_noted or self._is_failure_noted:
            self._verdicts.unconnected(self._without_data(), "wanted while there is no connection", now)

    def note(self, kind: str, detail: str, now: Instant) -> None:
        """Have an event told that concerns this connection."""
        self._verdicts.note(kind, detail, now)

    def ping(self, now: Instant) -> None:
        """Send a ping at the next `tick`, whenever one is due."""
        self._heartbeat.ping_at(now.mono_ns)

    @property
    def pongs(self) -> int:
        """How many pongs came."""
        return self._heartbeat.pongs

    @property
    def rtt_ns(self) -> int:
        """How long the last pong took; 0 before there was one."""
        return self._heartbeat.rtt_ns

    @property
    def counters(self) -> Counter[str]:
        """Everything counted since the start."""
        beat = self._heartbeat
        total = Counter(pings=beat.pings, pongs=beat.pongs, missed_pongs=beat.missed_pongs)
        total.update(self._counted)
        return total

    # what happened

    def connected(self, now: Instant) -> None:
        """The socket is open."""
        is_first = not self._counted["connects"]
        waited_ns = now.mono_ns - self._down_since_ns
        if is_first and not self._is_failure_noted:
            limit_ns = now.wall_ns - _ns(self._options.snapshot_timeout_s)
            late = [topic for topic in self._wanted().values() if topic.without_since_ns < limit_ns]
            self._verdicts.unconnected(late, "waited for a connection", now)
        self.is_connected = True
        self._is_down_noted = self._is_failure_noted = False
        self.reconnect_cause = None
        self._counted["connects"] += 1
        self._heartbeat.start(now.mono_ns)
        self._verdicts.decide(RecordKind.CONNECTED, now, url=self.url)
        if not is_first:
            self._verdicts.note("reconnected", f"after {waited_ns / NS_PER_S:.3f} s", now)

    def connect_failed(self, now: Instant, cause: str, detail: str = "") -> None:
        """An attempt to open the socket failed; a series of them is told once."""
        if self._is_failure_noted:
            return
        self._is_failure_noted = True
        self._verdicts.note("connect_failed", ": ".join(part for part in (cause, detail) if part), now)
        if not self._is_down_noted:
            self._verdicts.unconnected(self._without_data(), f"no connection: {cause}", now)

    def disconnected(self, now: Instant, cause: str, detail: str = "") -> None:
        """The socket is gone."""
        self.is_connected = False
        self.reconnect_cause = None
        self._requests.clear()
        self._sends.clear()
        self._is_down_noted = True
        self._down_since_ns = now.mono_ns
        self._counted["disconnects"] += 1
        # What never came is missing for longer than what the connection took away with it.
        self._verdicts.unconnected(self._without_data(), cause, now)
        self._verdicts.decide(RecordKind.DISCONNECTED, now, cause=cause, detail=detail)
        for topic in list(self._topics.values()):
            if topic.is_removed:
                del self._topics[topic.name]
                continue
            if topic.state is not TopicState.PARKED:
                topic.enter(TopicState.WANTED, now.mono_ns)
            if topic.is_synced or not topic.has_sync:
                topic.without_since_ns = now.wall_ns
            topic.is_synced = False

    def message(self, message: object, now: Instant) -> None:
        """A control message came: an acknowledgement, a pong, an error."""
        reply = replies.read(message)
        if reply.kind == "pong":
            self._heartbeat.pong(now.mono_ns)
        elif reply.kind == "other":
            self._counted["unknown_messages"] += 1
        elif (request := self._requests.answered(reply)) is None:
            self._counted["stray_answers"] += 1
        else:
            self._answered(request, reply, now)

    def heard(self, mono_ns: int) -> None:
        """A frame of whatever kind came at ``mono_ns``."""
        self._heartbeat.heard(mono_ns)

    # what is to be done

    def tick(self, now: Instant) -> None:
        """Do all that is due; nothing without a connection, or once `reconnect_cause` is set."""
        if self._is_idle():
            return
        self._forgive_pause(now)
        self._check_answers(now)
        self._check_snapshots(now)
        self._check_heartbeat(now)
        if not self._is_idle():
            self._request_due(now)

    @property
    def deadline_ns(self) -> int | None:
        """When `tick` has something to do next, on the monotonic clock; None while there is no connection."""
        if self._is_idle():
            return None
        dues = [topic.due_ns for topic in self._topics.values() if topic.due_ns is not None]
        dues += self._requests.deadlines_ns
        dues.append(self._heartbeat.deadline_ns)
        return min(dues)

    def take_decisions(self) -> list[Decision]:
        """Hand over the decisions made since the last call, in order."""
        return self._verdicts.take()

    def take_sends(self) -> list[bytes]:
        """Hand over the messages to send, in order."""
        sends, self._sends = self._sends, []
        return sends

    def _forgive_pause(self, now: Instant) -> None:
        """A process that was stopped, or busy for long, has not read yet what came in the meantime."""
        dues_ns = self._answers_due_ns()
        if (pong_due_ns := self._heartbeat.pong_due_ns) is not None:
            dues_ns.append(pong_due_ns)
        is_late = bool(dues_ns) and now.mono_ns - min(dues_ns) >= _ns(PAUSE_S)
        # Once, until something was read: who is always late must notice a dead connection too.
        if is_late and self._heartbeat.heard_ns > self._forgiven_ns:
            self._forgiven_ns = now.mono_ns
            self._wait_until(now.mono_ns + _ns(READ_S))
            self._heartbeat.wait_until(now.mono_ns + _ns(READ_S))

    def _check_heartbeat(self, now: Instant) -> None:
        if self._heartbeat.is_dead(now.mono_ns):
            self.reconnect_cause = "pong_timeout"
        elif self._heartbeat.takes_ping(now.mono_ns):
            self._sends.append(PING)

    def _is_idle(self) -> bool:
        return not self.is_connected or self.reconnect_cause is not None


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
