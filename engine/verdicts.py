"""The decisions of one connection, from made to taken."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from engine.clock import Instant
from engine.decisions import Decision
from engine.subscriptions import Subscription
from ext.journal import RecordKind

__all__ = ["Verdicts"]


class Verdicts:
    """Keeps decisions in order until they are taken, each with its connection, category and leg."""

    def __init__(self, connection: int, category: str, leg: int) -> None:
        # With its category, because a reader must know the dispatcher even before anything was connected.
        self._of = {"connection": connection, "category": category, "leg": leg}
        self._made: list[Decision] = []

    def take(self) -> list[Decision]:
        """Hand over the decisions made since the last call, in order."""
        made, self._made = self._made, []
        return made

    def decide(self, record: RecordKind, now: Instant, /, **payload: Any) -> None:
        """Decide on the connection as a whole."""
        self._made.append(Decision(record, {**self._of, **payload}, now.wall_ns, now.mono_ns))

    def note(self, kind: str, detail: str, now: Instant) -> None:
        """Tell of something that lost nothing."""
        self.decide(RecordKind.NOTED, now, kind=kind, topic="", detail=detail)

    def requested(self, op: str, names: Sequence[str], now: Instant) -> None:
        """Topics were asked for, or are wanted or not from now on."""
        if names:
            self.decide(RecordKind.REQUESTED, now, op=op, topics=list(names))

    def confirmed(self, op: str, members: Sequence[Subscription], now: Instant) -> None:
        """The venue did as it was asked."""
        if members:
            self.decide(RecordKind.CONFIRMED, now, op=op, topics=[topic.name for topic in members])

    def lost(self, kind: RecordKind, members: Sequence[Subscription], now: Instant, **payload: Any) -> None:
        """Topics are without data, each since its own moment."""
        by_start = sorted(members, key=lambda topic: topic.without_since_ns)
        for start_ns, group in groupby(by_start, key=lambda topic: topic.without_since_ns):
            names = [topic.name for topic in group]
            self.decide(kind, now, topics=names, start_ns=start_ns, **payload)

    def unconnected(self, members: Sequence[Subscription], detail: str, now: Instant) -> None:
        """Topics have been without data since they were wanted, for want of a connection."""
        self.lost(RecordKind.LOST, members, now, cause="disconnect", fault="network", detail=detail)
