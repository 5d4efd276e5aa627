"""The venue's side of a public connection, without a socket: a request in, an answer out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

__all__ = ["Answer", "Session"]

SPOT_ARGS_MAX: Final = 10
TOPICS_MAX: Final = 10_000  # of one connection
LISTING: Final = ("option", "spread")  # they answer topic by topic; elsewhere one bad topic refuses all


@dataclass(slots=True)
class Answer:
    """What a request leads to: the reply, and topics that are subscribed and unsubscribed now."""

    reply: bytes
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Session:
    """The topics of one connection.

    Args:
        category: of its path.
        name: the connection's id in answers.
        knows: whether there is such a topic.
        now_ms: the time that pongs tell.
    """

    def __init__(
        self, category: str, name: str, knows: Callable[[str], bool], now_ms: Callable[[], int]
    ) -> None:
        self.topics: dict[str, None] = {}
        self._category = category
        self._name = name
        self._knows = knows
        self._now_ms = now_ms

    def handle(self, text: str) -> Answer:
        """Answer one frame of the client; never raises."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return self._answer({}, f"Failed to decode incoming data:{error}")
        if not isinstance(request, dict):
            return self._answer({}, "Failed to decode incoming data:not an object")
        op, topics = request.get("op"), request.get("args")
        if op == "ping":
            return self._pong(request)
        if op not in ("subscribe", "unsubscribe"):
            return self._answer(request, "error:invalid op")
        if not isinstance(topics, list) or not topics or not all(isinstance(one, str) for one in topics):
            return self._answer(request, "Params Error")
        if self._category in LISTING:
            return self._one_by_one(op, dict.fromkeys(topics))
        problem = self._problem(op, topics)
        if problem:
            return self._answer(request, problem)
        answer = self._answer(request, "", success=True)
        self._change(answer, op, topics)
        return answer

    def _problem(self, op: str, topics: list[str]) -> str:
        if op == "subscribe" and self._category == "spot" and len(topics) > SPOT_ARGS_MAX:
            return f"args size >{SPOT_ARGS_MAX}"
        if op == "subscribe" and len(self.topics) + len(topics) > TOPICS_MAX:
            return "Params Error"
        seen: set[str] = set()
        for topic in topics:
            if not self._knows(topic):
                return f"error:handler not found,topic:{topic}"
            if op == "subscribe" and (topic in self.topics or topic in seen):
                return f"error:already subscribed,topic:{topic}"
            seen.add(topic)
        return ""

    def _one_by_one(self, op: str, topics: dict[str, None]) -> Answer:
        has_room = op == "unsubscribe" or len(self.topics) + len(topics) <= TOPICS_MAX
        good = [topic for topic in topics if has_room and self._knows(topic)]
        said = {"failTopics": [one for one in topics if one not in good], "successTopics": good}
        reply = {"success": bool(good), "conn_id": self._name, "data": said, "type": "COMMAND_RESP"}
        answer = Answer(orjson.dumps(reply))
        self._change(answer, op, good)
        return answer

    def _change(self, answer: Answer, op: str, topics: list[str]) -> None:
        if op == "subscribe":
            answer.added = [topic for topic in topics if topic not in self.topics]
            self.topics.update(dict.fromkeys(answer.added))
            return
        answer.removed = [topic for topic in dict.fromkeys(topics) if topic in self.topics]
        for topic in answer.removed:
            del self.topics[topic]

    def _pong(self, request: dict[str, Any]) -> Answer:
        if self._category in LISTING:
            return Answer(orjson.dumps({"args": [str(self._now_ms())], "op": "pong"}))
        return self._answer(request, "pong", success=True)

    def _answer(self, request: dict[str, Any], message: str, *, success: bool = False) -> Answer:
        """{"success":true,"ret_msg":"","conn_id":"…","req_id":"s-17","op":"subscribe"}"""
        op, given = request.get("op"), request.get("req_id")
        is_spot = self._category == "spot"
        if success and is_spot:
            message = message or str(op)
        reply: dict[str, Any] = {"success": success, "ret_msg": message, "conn_id": self._name}
        if not is_spot or (success and isinstance(given, str)):
            reply["req_id"] = given if isinstance(given, str) else ""
        reply["op"] = op if isinstance(op, str) else ""
        return Answer(orjson.dumps(reply))
