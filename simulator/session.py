"""The rules of a public connection, without a socket: request in, reply and subscription changes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulator.switches import Switches

SPOT_ARGS_MAX = 10
OPTION_TOPICS_MAX = 2_000
ARGS_CHARACTERS_MAX = 21_000
CONTROL_OPS = ("subscribe", "unsubscribe")
LISTING_CATEGORIES = ("option", "spread")
"""Their acknowledgements list topics one by one; elsewhere a bad topic refuses the whole request."""


@dataclass(slots=True)
class Answer:
    """What a request leads to. `added` and `removed` are whole: a refused request changes nothing."""

    reply: bytes
    success: bool
    op: str = ""
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    close: bool = False
    poisoned: bool = False


class Session:
    """Holds the topics of one connection. `knows` says which topics exist on its path."""

    def __init__(
        self,
        category: str,
        conn_id: str,
        switches: Switches,
        knows: Callable[[str], bool],
        knows_symbol: Callable[[str], bool],
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self.category = category
        self.topics: dict[str, None] = {}
        self._conn_id = conn_id
        self._switches = switches
        self._knows = knows
        self._knows_symbol = knows_symbol
        self._now_ms = now_ms

    def handle(self, text: bytes) -> Answer:
        """Answer one frame of the client; never raises."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return self._answer({}, "", f"Failed to decode incoming data:{error}")
        if not isinstance(request, dict):
            return self._answer({}, "", "Failed to decode incoming data:not an object")
        op = request.get("op")
        if op == "ping":
            return self._pong(request)
        if op not in CONTROL_OPS:
            return self._answer(request, op if isinstance(op, str) else "", "error:invalid op")
        args = request.get("args")
        if not isinstance(args, list) or not args or not all(isinstance(topic, str) for topic in args):
            return self._answer(request, op, "Params Error")
        if self.category in LISTING_CATEGORIES:
            return self._list_topics(request, op, args)
        return self._subscribe(request, args) if op == "subscribe" else self._unsubscribe(request, args)

    def refuse(self, text: bytes, message: str) -> Answer:
        """Refuse a well-formed request with a message; nothing changes."""
        request = orjson.loads(text)
        if self.category in LISTING_CATEGORIES:
            return self._listed(request["op"], [], request["args"])
        return self._answer(request, request["op"], message)

    def pretend(self, text: bytes) -> Answer:
        """Answer a request as if it were performed; nothing changes."""
        before = dict(self.topics)
        answer = self.handle(text)
        self.topics = before
        answer.added, answer.removed = [], []
        return answer

    def _too_much(self, args: list[str]) -> bool:
        counted = args if self._switches.args_characters == "request" else [*self.topics, *args]
        return characters(counted) > ARGS_CHARACTERS_MAX

    def _subscribe(self, request: dict[str, Any], args: list[str]) -> Answer:
        if self.category == "spot" and len(args) > SPOT_ARGS_MAX:
            return self._answer(request, "subscribe", f"args size >{SPOT_ARGS_MAX}")
        if self._too_much(args):
            answer = self._answer(request, "subscribe", "Params Error")
            answer.close = self._switches.args_characters_over == "close"
            return answer
        added: list[str] = []
        for topic in args:
            if not self._knows(topic):
                answer = self._answer(request, "subscribe", self._unknown(topic))
                answer.poisoned = self._switches.unknown_topic == "poisons"
                return answer
            if topic in self.topics or topic in added:
                return self._answer(request, "subscribe", f"error:already subscribed,topic:{topic}")
            added.append(topic)
        self.topics.update(dict.fromkeys(added))
        answer = self._answer(request, "subscribe", None)
        answer.added = added
        return answer

    def _unsubscribe(self, request: dict[str, Any], args: list[str]) -> Answer:
        for topic in args:
            if not self._knows(topic):
                return self._answer(request, "unsubscribe", self._unknown(topic))
        answer = self._answer(request, "unsubscribe", None)
        answer.removed = self._remove(args)
        return answer

    def _remove(self, args: list[str]) -> list[str]:
        removed = [topic for topic in dict.fromkeys(args) if topic in self.topics]
        for topic in removed:
            del self.topics[topic]
        return removed

    def _list_topics(self, request: dict[str, Any], op: str, args: list[str]) -> Answer:
        """Perform a request topic by topic; one that is subscribed already counts as a success."""
        limit = OPTION_TOPICS_MAX if self.category == "option" else len(self.topics) + len(args)
        topics = list(dict.fromkeys(args))
        good = [topic for topic in topics if self._knows(topic)]
        if op == "unsubscribe":
            answer = self._listed(op, good, [topic for topic in topics if topic not in good])
            answer.removed = self._remove(good)
            return answer
        if self._too_much(topics) or len(self.topics.keys() | good) > limit:
            return self._listed(op, [], topics)
        answer = self._listed(op, good, [topic for topic in topics if topic not in good])
        answer.added = [topic for topic in good if topic not in self.topics]
        self.topics.update(dict.fromkeys(answer.added))
        return answer

    def _listed(self, op: str, good: list[str], bad: list[str]) -> Answer:
        """{"success":true,"conn_id":"…","data":{"failTopics":[],"successTopics":["…"]},"type":"COMMAND_RESP"}"""
        topics = {"failTopics": bad, "successTopics": good}
        reply = {"success": bool(good), "conn_id": self._conn_id, "data": topics, "type": "COMMAND_RESP"}
        return Answer(orjson.dumps(reply), not bad, op)

    def _unknown(self, topic: str) -> str:
        symbol = topic.rpartition(".")[2]
        names_symbol = self.category == "spot" and self._switches.spot_unknown_symbol == "invalid_symbol"
        if names_symbol and not self._knows_symbol(symbol):
            return f"Invalid symbol :[{symbol}]"
        return f"error:handler not found,topic:{topic}"

    def _pong(self, request: dict[str, Any]) -> Answer:
        if self.category in LISTING_CATEGORIES:
            return Answer(orjson.dumps({"args": [str(self._now_ms())], "op": "pong"}), True, "ping")
        return self._answer(request, "ping", None)

    def _answer(self, request: dict[str, Any], op: str, error: str | None) -> Answer:
        """Return the reply in the key order of the path; `error` None is success.

        {"success":true,"ret_msg":"","conn_id":"…","req_id":"s-17","op":"subscribe"}
        """
        success = {"ping": "pong"}.get(op, op if self.category == "spot" else "")
        given = request.get("req_id")
        req_id = given if isinstance(given, str) else ""
        reply: dict[str, Any] = {"success": error is None, "ret_msg": success if error is None else error}
        reply["conn_id"] = self._conn_id
        spot_shows = req_id and (error is None or self._switches.spot_error_req_id == "on")
        if self.category != "spot" or spot_shows:
            reply["req_id"] = req_id
        reply["op"] = op
        return Answer(orjson.dumps(reply), error is None, op)


def characters(args: list[str]) -> int:
    """Return the length of the args array as compact JSON."""
    return len(orjson.dumps(args))
