"""A Session with a clock that tests move, and what it said so far."""

import json
from typing import Any

from engine.clock import ManualClock
from engine.config import feed_options
from engine.session import Session
from ext.journal import RecordKind


class Bench:
    """Drives a session as a connection would, and keeps its decisions and requests."""

    def __init__(self, category: str = "linear", *topics: str, **options: Any) -> None:
        self.clock = ManualClock()
        self.session = Session(category, 0, feed_options(**options), connection=7, url="ws://127.0.0.1:1")
        self.decisions: list[tuple[RecordKind, dict[str, Any]]] = []
        self.requests: list[dict[str, Any]] = []
        self.pings = 0
        # Whether frames of other kinds keep coming in, as they do on a living connection.
        self.is_silent = False
        self.session.add(topics, self.clock.now())
        self.tick()

    def connect(self) -> None:
        self.session.connected(self.clock.now())
        self.tick()

    def disconnect(self, cause: str = "lost") -> None:
        self.session.disconnected(self.clock.now(), cause)
        self.tick()

    def fail(self, cause: str = "refused") -> None:
        self.session.connect_failed(self.clock.now(), cause)
        self.tick()

    def tick(self) -> None:
        self.session.tick(self.clock.now())
        self.decisions += [(decision.kind, decision.payload) for decision in self.session.take_decisions()]
        for sent in self.session.take_sends():
            message = json.loads(sent)
            if message["op"] == "ping":
                self.pings += 1
            else:
                self.requests.append(message)

    def wait(self, seconds: float) -> None:
        """Let time pass, ticking at every deadline on the way."""
        end_ns = self.clock.now().mono_ns + round(seconds * 1e9)
        while (due_ns := self.session.deadline_ns) is not None and due_ns <= end_ns:
            self.clock.advance_to(due_ns)
            if not self.is_silent:
                self.session.heard(due_ns)
            self.tick()
        self.clock.advance_to(end_ns)

    def hear(self, message: object) -> None:
        self.session.message(message, self.clock.now())
        self.tick()

    def ack(self, request: dict[str, Any], reason: str = "", *, success: bool | None = None) -> None:
        """Answer a request the way linear does; an empty reason is a success."""
        is_good = not reason if success is None else success
        self.hear(
            {
                "success": is_good,
                "ret_msg": reason,
                "conn_id": "c",
                "req_id": request["req_id"],
                "op": request["op"],
            }
        )

    def sync(self, topic: str) -> None:
        self.session.sync(topic, self.clock.now())
        self.tick()

    def desync(self, topic: str) -> None:
        self.session.desync(topic, self.clock.now())
        self.tick()

    def state(self, topic: str) -> str:
        return self.session.states()[topic].value

    def noted(self) -> list[str]:
        """Return the events told of, with their details."""
        return [f"{noted['kind']}: {noted['detail']}" for noted in self.decided(RecordKind.NOTED)]

    def take(self) -> list[dict[str, Any]]:
        """Return the requests made since the last call."""
        requests, self.requests = self.requests, []
        return requests

    def decided(self, kind: RecordKind) -> list[dict[str, Any]]:
        return [payload for decided, payload in self.decisions if decided is kind]
