"""What a session remembers of each topic and of each request under way."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Request", "Subscription", "TopicState"]


class TopicState(Enum):
    """Where a topic stands with the venue."""

    WANTED = "wanted"
    SUBSCRIBING = "subscribing"
    AWAITING_SNAPSHOT = "awaiting snapshot"
    CONFIRMED = "confirmed"
    LEAVING = "leaving"
    UNSUBSCRIBING = "unsubscribing"
    PARKED = "parked"


@dataclass(slots=True)
class Subscription:
    """One wanted topic.

    ``due_ns`` is when its state has something to do (subscribe, give up waiting, unsubscribe, try again);
    None: nothing. ``without_since_ns`` is the wall time since when there is no data that can be trusted.
    """

    name: str
    needs_snapshot: bool
    without_since_ns: int
    state: TopicState = TopicState.WANTED
    due_ns: int | None = 0
    is_synced: bool = False
    synced_at_ns: int = 0
    is_removed: bool = False
    resyncs: int = 0
    snapshot_failures: int = 0
    ack_failures: int = 0
    rejections: int = 0

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


@dataclass(frozen=True, slots=True)
class Request:
    """A subscribe or unsubscribe that waits for its answer."""

    id: str
    op: str
    topics: tuple[str, ...]
    deadline_ns: int
