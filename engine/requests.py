"""Requests to the venue that wait for their answers, and which answer belongs to which."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from engine.bybit import replies

__all__ = ["Request", "Requests"]


@dataclass(frozen=True, slots=True)
class Request:
    """A subscribe or unsubscribe that waits for its answer."""

    id: str
    op: str
    topics: tuple[str, ...]
    deadline_ns: int

    def encoded(self) -> bytes:
        """Return the message that asks for it."""
        return orjson.dumps({"req_id": self.id, "op": self.op, "args": self.topics})


class Requests:
    """The requests of one connection, oldest first. Ids begin with ``name``; ``timeout_ns`` is for each."""

    def __init__(self, name: str, timeout_ns: int) -> None:
        self._name = name
        self._timeout_ns = timeout_ns
        self._made = 0
        self._waiting: dict[str, Request] = {}

    def make(self, op: str, topics: Sequence[str], now_ns: int) -> Request:
        """Return a new request, which from now on waits."""
        self._made += 1
        request = Request(f"{self._name}-{self._made}", op, tuple(topics), now_ns + self._timeout_ns)
        self._waiting[request.id] = request
        return request

    def close(self, request: Request) -> None:
        """It waits no more."""
        del self._waiting[request.id]

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()

    def wait_until(self, until_ns: int) -> None:
        """Let each wait at least until then."""
        for request in list(self._waiting.values()):
            if request.deadline_ns < until_ns:
                self._waiting[request.id] = replace(request, deadline_ns=until_ns)

    def late(self, now_ns: int) -> list[Request]:
        """Return those whose answer should have come."""
        return [request for request in self._waiting.values() if request.deadline_ns <= now_ns]

    @property
    def deadlines_ns(self) -> list[int]:
        """When each is late."""
        return [request.deadline_ns for request in self._waiting.values()]

    def answered(self, reply: replies.Reply) -> Request | None:
        """Find the request that was answered: by its id, else the oldest that fits, preferably one named."""
        if reply.request_id:
            return self._waiting.get(reply.request_id)
        topics = set(reply.confirmed + reply.refused)
        fitting = [
            request
            for request in self._waiting.values()
            if reply.op in ("", request.op) and topics.issubset(request.topics)
        ]
        named = [request for request in fitting if replies.named_topics(reply.reason, request.topics)]
        return next(iter(named or fitting), None)
