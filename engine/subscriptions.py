"""What a session remembers of each topic, and what of it a user sees."""

from dataclasses import dataclass
from enum import Enum

from engine.bybit.topics import Topic

__all__ = ["Subscription", "SubscriptionStatus", "TopicState"]


class TopicState(Enum):
    """Where a topic stands with the venue."""

    WANTED = "wanted"
    SUBSCRIBING = "subscribing"
    AWAITING_SNAPSHOT = "awaiting snapshot"
    CONFIRMED = "confirmed"
    LEAVING = "leaving"
    UNSUBSCRIBING = "unsubscribing"
    PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatus:
    """Where one topic stands on one leg. Times are ns of the wall clock, 0: not yet.

    ``is_in_step``: its data can be used. ``reason`` is the venue's, of the last rejection. Of a topic on
    several legs ``last_data_ns`` is the last data that any of them brought; so is ``first_data_ns`` the first
    of a topic without snapshots. ``proof`` is what would prove it dead while its connection lives, "quiet
    (unproven)" where nothing would, and empty until it is in step.
    """

    category: str
    topic: str
    leg: int
    connection: int
    state: TopicState
    is_in_step: bool
    requested_ns: int
    confirmed_ns: int
    rejected_ns: int
    reason: str
    first_data_ns: int
    last_data_ns: int = 0
    proof: str = ""


@dataclass(slots=True)
class Subscription:
    """One wanted topic.

    ``needs_snapshot``: the venue sends one after each subscription; ``heals``: the next message is one in any
    case. ``has_sync``: it is of use only once the dispatcher says so. ``due_ns`` is when its state has
    something to do (subscribe, give up waiting, unsubscribe, try again); None: nothing. ``without_since_ns``
    is the wall time since when there is no data that can be trusted.
    """

    name: str
    needs_snapshot: bool
    heals: bool
    has_sync: bool
    without_since_ns: int
    state: TopicState = TopicState.WANTED
    due_ns: int | None = 0
    is_synced: bool = False
    synced_at_ns: int = 0
    is_removed: bool = False
    resyncs: int = 0
    failures: int = 0
    failed_at_ns: int = 0
    ack_failures: int = 0
    rejections: int = 0
    requested_ns: int = 0
    confirmed_ns: int = 0
    rejected_ns: int = 0
    reason: str = ""
    first_data_ns: int = 0

    @classmethod
    def of(cls, topic: Topic, wall_ns: int) -> "Subscription":
        """Return one that is wanted from now on."""
        has_sync = topic.starts_with_snapshot or topic.begins_with_rest
        return cls(str(topic), topic.starts_with_snapshot, topic.is_whole_each_time, has_sync, wall_ns)

    @property
    def is_in_step(self) -> bool:
        """Whether its data can be used; data before an acknowledgement is as good as one."""
        if self.is_removed:
            return False
        return self.is_synced if self.has_sync else self.state is TopicState.CONFIRMED

    def enter(self, state: TopicState, due_ns: int | None = None) -> None:
        """Go to a state, with the moment at which it has something to do."""
        self.state = state
        self.due_ns = due_ns

    def want_again(self, wall_ns: int) -> None:
        """Forget that it was removed, and what data it had before."""
        self.is_removed = self.is_synced = False
        self.without_since_ns = wall_ns

    def is_due(self, state: TopicState, now_ns: int) -> bool:
        """Whether it is in that state and has something to do."""
        return self.state is state and self.due_ns is not None and self.due_ns <= now_ns
