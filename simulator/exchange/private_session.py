"""The rules of a private connection, without a socket: authentication, then topics."""

from typing import Any

import orjson

from simulator.exchange.accounts import Account
from simulator.exchange.auth import check_socket
from simulator.exchange.errors import RefusedError
from simulator.exchange.exchange import Exchange
from simulator.session import Answer

BY_CATEGORY: dict[str, tuple[str, ...]] = {
    "order": ("spot", "linear", "inverse", "option"),
    "execution": ("spot", "linear", "inverse", "option"),
    "execution.fast": ("spot", "linear", "inverse", "option"),
    "position": ("linear", "inverse", "option"),
}
ALONE = (
    "wallet",
    "greeks",
    "dcp",
    "dcp.future",
    "dcp.spot",
    "dcp.option",
    "spread.order",
    "spread.execution",
)
TOPICS = {
    *BY_CATEGORY,
    *ALONE,
    *(f"{topic}.{category}" for topic, categories in BY_CATEGORY.items() for category in categories),
}


def parent(topic: str) -> str:
    """Return the all-in-one form of a topic, itself where it has none."""
    head, _, category = topic.rpartition(".")
    return head if category in BY_CATEGORY.get(head, ()) else topic


class PrivateSession:
    """Holds who is at the other end, and what of it is subscribed."""

    def __init__(self, exchange: Exchange, conn_id: str, address: str) -> None:
        self.topics: dict[str, None] = {}
        self.account: Account | None = None
        self._exchange = exchange
        self._conn_id = conn_id
        self._address = address

    def handle(self, text: bytes) -> Answer:
        """Answer one frame of the client; never raises."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return self._answer({}, "", f"Failed to decode incoming data:{error}")
        if not isinstance(request, dict):
            return self._answer({}, "", "Failed to decode incoming data:not an object")
        op, args = request.get("op"), request.get("args")
        if op == "ping":
            return self._pong(request)
        if op == "auth":
            return self._auth(request)
        if op not in ("subscribe", "unsubscribe"):
            return self._answer(request, str(op), "error:invalid op")
        if self.account is None:
            return self._answer(request, op, "Request not authorized")
        if not isinstance(args, list) or not args or not all(isinstance(topic, str) for topic in args):
            return self._answer(request, op, "Params Error")
        return self._subscribe(request, args) if op == "subscribe" else self._unsubscribe(request, args)

    def _auth(self, request: dict[str, Any]) -> Answer:
        exchange = self._exchange
        try:
            key = check_socket(
                exchange.engine.accounts, request.get("args"), self._address, exchange.now_ms()
            )
        except RefusedError as refused:
            answer = self._answer(request, "auth", refused.message)
            answer.close = True
            return answer
        self.account = key.account
        return self._answer(request, "auth", None)

    def _subscribe(self, request: dict[str, Any], args: list[str]) -> Answer:
        for topic in args:
            if topic not in TOPICS:
                return self._answer(request, "subscribe", f"error:handler not found,topic:{topic}")
            if topic in self.topics:
                return self._answer(request, "subscribe", f"error:already subscribed,topic:{topic}")
            if parent(topic) != topic and parent(topic) in args:
                return self._answer(request, "subscribe", "Params Error")
        self.topics.update(dict.fromkeys(args))
        answer = self._answer(request, "subscribe", None)
        answer.added = list(dict.fromkeys(args))
        return answer

    def _unsubscribe(self, request: dict[str, Any], args: list[str]) -> Answer:
        answer = self._answer(request, "unsubscribe", None)
        answer.removed = [topic for topic in dict.fromkeys(args) if topic in self.topics]
        for topic in answer.removed:
            del self.topics[topic]
        return answer

    def _pong(self, request: dict[str, Any]) -> Answer:
        reply = {"op": "pong", "args": [str(self._exchange.now_ms())], "conn_id": self._conn_id}
        if isinstance(request.get("req_id"), str):
            reply = {"req_id": request["req_id"], **reply}
        return Answer(orjson.dumps(reply), True, "ping")

    def _answer(self, request: dict[str, Any], op: str, error: str | None) -> Answer:
        reply: dict[str, Any] = {"success": error is None, "ret_msg": error or "", "op": op}
        reply["conn_id"] = self._conn_id
        if isinstance(request.get("req_id"), str):
            reply["req_id"] = request["req_id"]
        return Answer(orjson.dumps(reply), error is None, op)
