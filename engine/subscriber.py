"""Keeps topics subscribed over a connection: requests and answers, deadlines, recovery; no I/O."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from engine.backoff import doubled_s
from engine.bybit import limits, replies, topics
from engine.clock import NS_PER_S, Instant
from engine.config import FeedOptions
from engine.errors import UsageError
from engine.requests import Request, Requests
from engine.subscriptions import Subscription, SubscriptionStatus, TopicState
from engine.verdicts import Verdicts
from ext.journal import RecordKind

__all__ = ["Subscriber"]

# So many failures of one topic in a row replace the connection; then twice as many, and so on: a topic that
# a new connection does not cure must not keep interrupting the others.
ACK_FAILURES_MAX: Final = 3
FAILURES_MAX: Final = 5
REJECTED_RETRY_MAX_S: Final = 3600
# A book that stayed in step for this long has earned an immediate resynchronisation.
STEADY_S: Final = 60
# Failures of a topic that are further apart than this have nothing to do with each other.
FORGIVEN_S: Final = 300


class Subscriber:
    """Topics of one connection, from wanted to confirmed and in step: the part of a `Session` that is about
    topics. What it decides, sends and counts is the session's.
    """

    def __init__(self, category: str, leg: int, connection: int, options: FeedOptions) -> None:
        topics.check_category(category)
        self.category = category
        self.leg = leg
        self.connection = connection
        self.is_connected = False
        self.reconnect_cause: str | None = None
        self._options = options
        self._counted: Counter[str] = Counter()
        self._topics: dict[str, Subscription] = {}
        self._requests = Requests(str(connection), _ns(options.ack_timeout_s))
        self._verdicts = Verdicts(connection, category, leg)
        self._sends: list[bytes] = []

    # what is wanted

    def add(self, names: Iterable[str], now: Instant) -> None:
        """Want these topics from now on; those already wanted are left alone. Raises TopicError."""
        parsed = {name: topics.parse(self.category, name) for name in names}
        added = [name for name in parsed if name not in self._topics or self._topics[name].is_removed]
        for name in added:
            topic = self._topics.setdefault(name, Subscription.of(parsed[name], now.wall_ns))
            topic.want_again(now.wall_ns)
        self._verdicts.requested("desire", added, now)

    def remove(self, names: Iterable[str], now: Instant) -> None:
        """Want these topics no more. Raises UsageError for one that was not wanted."""
        leaving = []
        for name in dict.fromkeys(names):
            topic = self._topics.get(name)
            if topic is None or topic.is_removed:
                raise UsageError(f"topic {name!r} is not subscribed", "remove only what was added")
            leaving.append(topic)
        for topic in leaving:
            topic.is_removed = True
            if topic.state in (TopicState.WANTED, TopicState.PARKED):
                del self._topics[topic.name]
            elif topic.state in (TopicState.CONFIRMED, TopicState.AWAITING_SNAPSHOT):
                topic.enter(TopicState.LEAVING, now.mono_ns)
        self._verdicts.requested("remove", [topic.name for topic in leaving], now)

    def leave(self, now: Instant) -> None:
        """Want nothing any more: the connection is to be closed."""
        names = list(self._wanted())
        self._topics.clear()
        self._requests.clear()
        self._verdicts.requested("remove", names, now)

    def states(self) -> dict[str, TopicState]:
        """Return where each wanted topic stands."""
        return {name: topic.state for name, topic in self._wanted().items()}

    def in_step(self) -> set[str]:
        """Return the topics whose data can be used."""
        if not self.is_connected:
            return set()
        return {name for name, topic in self._wanted().items() if topic.is_in_step}

    def statuses(self) -> Iterator[SubscriptionStatus]:
        """Tell of each wanted topic where it stands and since when, as far as it is known here."""
        for topic in self._wanted().values():
            yield SubscriptionStatus(
                category=self.category,
                topic=topic.name,
                leg=self.leg,
                connection=self.connection,
                state=topic.state,
                is_in_step=self.is_connected and topic.is_in_step,
                requested_ns=topic.requested_ns,
                confirmed_ns=topic.confirmed_ns,
                rejected_ns=topic.rejected_ns,
                reason=topic.reason,
                first_data_ns=topic.first_data_ns,
            )

    # what happened

    def desync(self, name: str, now: Instant) -> None:
        """The book of a topic can no longer be trusted: a new snapshot is needed."""
        topic = self._topics.get(name)
        if topic is None:
            return
        if topic.is_synced:
            topic.is_synced = False
            topic.without_since_ns = now.wall_ns
            if now.mono_ns - topic.synced_at_ns > _ns(STEADY_S):
                topic.resyncs = 0
        if topic.heals:
            # To subscribe anew would cut off the snapshot that comes by itself.
            if topic.state is TopicState.CONFIRMED:
                topic.enter(TopicState.AWAITING_SNAPSHOT, self._snapshot_due_ns(now))
        elif topic.needs_snapshot and topic.state in (TopicState.CONFIRMED, TopicState.AWAITING_SNAPSHOT):
            self._plan_resync(topic, now)

    def stalled(self, names: Iterable[str], start_ns: int, detail: str, now: Instant) -> None:
        """Confirmed topics are dead, since ``start_ns`` on the wall clock: subscribe anew."""
        dead = [
            topic
            for topic in map(self._topics.get, names)
            if topic is not None and topic.state is TopicState.CONFIRMED and not topic.is_removed
        ]
        for topic in dead:
            topic.is_synced = False
            topic.without_since_ns = start_ns
            self._counted["stalls"] += 1
        self._fail(dead, detail, "stalled", now)

    def sync(self, name: str, now: Instant) -> None:
        """A snapshot made the book of a topic good; it may come before the acknowledgement."""
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.is_synced = True
        topic.synced_at_ns = now.mono_ns
        topic.first_data_ns = topic.first_data_ns or now.wall_ns
        topic.failures = 0
        is_waiting = topic.state in (TopicState.AWAITING_SNAPSHOT, TopicState.LEAVING)
        if is_waiting and not topic.is_removed:
            topic.enter(TopicState.CONFIRMED)

    # answers

    def _answered(self, request: Request, reply: replies.Reply, now: Instant) -> None:
        members = self._close(request)
        if request.op == "unsubscribe":
            # Refused or not: a subscribe follows, and its answer tells.
            self._unsubscribed(members, now)
        elif reply.is_per_topic:
            self._confirm([topic for topic in members if topic.name in reply.confirmed], now)
            self._reject([topic for topic in members if topic.name in reply.refused], reply.reason, now)
            self._want([topic for topic in members if topic.state is TopicState.SUBSCRIBING], now)
        elif reply.success:
            self._confirm(members, now)
        else:
            self._refused(request, members, reply.reason, now)

    def _refused(self, request: Request, members: list[Subscription], reason: str, now: Instant) -> None:
        """Part the bad from the good: one bad topic fails its whole request, and only the first is named."""
        self._counted["refusals"] += 1
        named = replies.named_topics(reason, request.topics)
        if not named and len(members) == 1:
            named = request.topics
        culprits = [topic for topic in members if topic.name in named]
        others = [topic for topic in members if topic.name not in named]
        if replies.is_already_subscribed(reason):
            self._confirm(culprits, now)
        else:
            self._reject(culprits, reason, now)
        if culprits or len(others) < 2:
            self._want(others, now)
        else:
            middle = len(others) // 2
            self._send("subscribe", others[:middle], now)
            self._send("subscribe", others[middle:], now)

    def _confirm(self, members: Sequence[Subscription], now: Instant) -> None:
        if not members:
            return
        self._verdicts.confirmed("subscribe", members, now)
        for topic in members:
            topic.ack_failures = topic.rejections = 0
            topic.confirmed_ns = now.wall_ns
            if topic.is_removed:
                topic.enter(TopicState.LEAVING, now.mono_ns)
            elif topic.needs_snapshot and not topic.is_synced:
                topic.enter(TopicState.AWAITING_SNAPSHOT, self._snapshot_due_ns(now))
            else:
                topic.enter(TopicState.CONFIRMED)

    def _reject(self, members: Sequence[Subscription], reason: str, now: Instant) -> None:
        self._verdicts.lost(RecordKind.REJECTED, members, now, reason=reason)
        for topic in members:
            self._counted["rejected"] += 1
            wait_s = doubled_s(self._options.rejected_retry_s, topic.rejections, REJECTED_RETRY_MAX_S)
            topic.rejections += 1
            topic.rejected_ns, topic.reason = now.wall_ns, reason
            topic.enter(TopicState.PARKED, now.mono_ns + _ns(wait_s))
            if topic.is_removed:
                del self._topics[topic.name]

    def _unsubscribed(self, members: Sequence[Subscription], now: Instant) -> None:
        self._verdicts.confirmed("unsubscribe", members, now)
        # A snapshot that came while the unsubscribe was under way starts a book that now gets no more deltas.
        revived = [topic for topic in members if topic.is_synced and not topic.is_removed]
        self._verdicts.lost(RecordKind.STALLED, revived, now, detail="unsubscribed for a new snapshot")
        for topic in members:
            topic.is_synced = False
        self._want(members, now)

    def _want(self, members: Sequence[Subscription], now: Instant) -> None:
        for topic in members:
            topic.enter(TopicState.WANTED, now.mono_ns)
            if topic.is_removed:
                del self._topics[topic.name]

    # deadlines

    def _answers_due_ns(self) -> list[int]:
        """When each thing is due that the venue owes."""
        snapshots = (topic for topic in self._topics.values() if topic.state is TopicState.AWAITING_SNAPSHOT)
        return self._requests.deadlines_ns + [topic.due_ns for topic in snapshots if topic.due_ns is not None]

    def _wait_until(self, until_ns: int) -> None:
        """Give whatever the venue owes at least until then."""
        self._requests.wait_until(until_ns)
        for topic in self._topics.values():
            if topic.state is TopicState.AWAITING_SNAPSHOT and topic.due_ns is not None:
                topic.due_ns = max(topic.due_ns, until_ns)

    def _snapshot_due_ns(self, now: Instant) -> int:
        return now.mono_ns + _ns(self._options.snapshot_timeout_s)

    def _check_answers(self, now: Instant) -> None:
        for request in self._requests.late(now.mono_ns):
            self._counted["late_answers"] += 1
            members = self._close(request)
            # Whether the venue did as it was asked is not known: what is not wanted is left once more.
            for topic in members:
                if topic.is_removed:
                    topic.enter(TopicState.LEAVING, now.mono_ns)
            members = [topic for topic in members if not topic.is_removed]
            if request.op == "unsubscribe":
                self._unsubscribed(members, now)
                continue
            # Data is as good as an acknowledgement.
            self._confirm([topic for topic in members if topic.is_synced], now)
            silent = [topic for topic in members if not topic.is_synced]
            self._want(silent, now)
            for topic in silent:
                topic.ack_failures += 1
                if _is_doubled(topic.ack_failures, ACK_FAILURES_MAX):
                    self.reconnect_cause = "no_answer"

    def _check_snapshots(self, now: Instant) -> None:
        late = self._due(TopicState.AWAITING_SNAPSHOT, now)
        self._counted["late_snapshots"] += len(late)
        self._fail(late, f"no snapshot in {self._options.snapshot_timeout_s} s", "no_snapshot", now)

    def _fail(self, members: Sequence[Subscription], detail: str, reconnect_cause: str, now: Instant) -> None:
        """Topics that should have data have none: resubscribe; in the end replace the connection."""
        self._verdicts.lost(RecordKind.STALLED, members, now, detail=detail)
        for topic in members:
            if topic.failed_at_ns and now.mono_ns - topic.failed_at_ns > _ns(FORGIVEN_S):
                topic.failures = topic.resyncs = 0
            topic.failed_at_ns = now.mono_ns
            topic.failures += 1
            self._plan_resync(topic, now)
            if _is_doubled(topic.failures, FAILURES_MAX):
                self.reconnect_cause = reconnect_cause

    def _plan_resync(self, topic: Subscription, now: Instant) -> None:
        """Leave at once the first time, later after waits that double; coming back brings a snapshot."""
        wait_s = 0.0
        if topic.resyncs:
            wait_s = doubled_s(1.0, topic.resyncs - 1, self._options.resync_delay_max_s)
        topic.resyncs += 1
        self._counted["resyncs"] += 1
        topic.enter(TopicState.LEAVING, now.mono_ns + _ns(wait_s))

    # requests

    def _request_due(self, now: Instant) -> None:
        self._send_in_batches("unsubscribe", self._due(TopicState.LEAVING, now), now)
        self._send_in_batches("subscribe", self._due(TopicState.WANTED, now), now)
        for topic in self._due(TopicState.PARKED, now):
            # Alone, so that it can fail nobody else.
            self._send("subscribe", [topic], now)

    def _send_in_batches(self, op: str, members: Sequence[Subscription], now: Instant) -> None:
        for names in limits.requests(self.category, [topic.name for topic in members]):
            self._send(op, [self._topics[name] for name in names], now)

    def _send(self, op: str, members: Sequence[Subscription], now: Instant) -> None:
        request = self._requests.make(op, [topic.name for topic in members], now.mono_ns)
        for topic in members:
            topic.enter(TopicState.SUBSCRIBING if op == "subscribe" else TopicState.UNSUBSCRIBING)
            topic.requested_ns = now.wall_ns
        self._verdicts.requested(op, request.topics, now)
        self._sends.append(request.encoded())

    def _close(self, request: Request) -> list[Subscription]:
        self._requests.close(request)
        return [self._topics[name] for name in request.topics]

    def _due(self, state: TopicState, now: Instant) -> list[Subscription]:
        return [topic for topic in self._topics.values() if topic.is_due(state, now.mono_ns)]

    def _wanted(self) -> dict[str, Subscription]:
        return {name: topic for name, topic in self._topics.items() if not topic.is_removed}

    def _without_data(self) -> list[Subscription]:
        return [topic for topic in self._wanted().values() if not topic.is_in_step]


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _is_doubled(count: int, first: int) -> bool:
    """Whether ``count`` is ``first``, doubled any number of times."""
    times, rest = divmod(count, first)
    return rest == 0 and times.bit_count() == 1
