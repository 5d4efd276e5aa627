"""A connection without its socket: what it asks for, and what follows for its subscriptions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from simulator.faults import Peer, Verdict
from simulator.hub import Outlet
from simulator.session import Answer, Session

if TYPE_CHECKING:
    from simulator.venue import Venue


class Client:
    """Joins the hub when made; the owner calls `leave` at its end. Runs on one thread."""

    def __init__(self, venue: "Venue", peer: Peer, outlet: Outlet) -> None:
        self.peer = peer
        self._venue = venue
        self._outlet = outlet
        category, source = peer.category, venue.source
        self.session = Session(
            category,
            f"sim{peer.number:017x}-{peer.number:05x}",
            venue.switches,
            lambda topic: source.knows(category, topic),
            lambda symbol: any(one.symbol == symbol for one in source.instruments(category)),
            lambda: venue.clock() // 1_000_000,
        )
        venue.hub.join(outlet, peer)

    @property
    def topics(self) -> list[str]:
        """What is subscribed."""
        return list(self.session.topics)

    def request(self, text: bytes) -> bool:
        """Perform and answer one frame of the client; return whether the connection is to be closed."""
        hub = self._venue.hub
        if hub.sendings[self._outlet].muted:
            return False
        verdict = self._verdict(text) if hub.plan.faults else None
        if verdict is None:
            answer = self.session.handle(text)
        elif verdict.lost:
            return False
        elif verdict.refused:
            answer = self.session.refuse(text, verdict.refused)
        else:
            answer = self.session.pretend(text)
        self._obey(answer)
        return answer.close

    def _verdict(self, text: bytes) -> Verdict | None:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(request, dict):
            return None
        return self._venue.hub.plan.incoming(self.peer, request, self._venue.hub.clock())

    def _obey(self, answer: Answer) -> None:
        hub, source, switches = self._venue.hub, self._venue.source, self._venue.switches
        before = switches.snapshot_order == "before"
        self._venue.refused_requests += not answer.success
        if not before:
            hub.reply(self._outlet, answer.op, answer.reply)
        for topic in answer.added:
            opening = source.opening(self.peer.category, topic)
            hub.subscribe(self._outlet, hub.stream(self.peer.category, topic), opening)
        if before:
            hub.reply(self._outlet, answer.op, answer.reply)
        self._drop(answer.removed, int(switches.stale_frames))
        if answer.poisoned:
            self._drop(self.session.topics, 0)
        hub.flush()

    def _drop(self, topics: Iterable[str], stale_frames: int) -> None:
        hub = self._venue.hub
        for topic in topics:
            hub.unsubscribe(self._outlet, hub.stream(self.peer.category, topic), stale_frames)

    def leave(self) -> None:
        """End, whoever began it."""
        self._venue.hub.leave(self._outlet)
