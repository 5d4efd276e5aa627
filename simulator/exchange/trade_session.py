"""The rules of an order-entry connection, without a socket."""

from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from simulator.exchange.accounts import Key
from simulator.exchange.auth import check_socket, check_window
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.exchange import Exchange, Outcome
from simulator.exchange.operations import ORDERS

OPS = {endpoint.replace("/", ".", 1): endpoint for endpoint in ORDERS}
"""order.create -> order/create"""
REQUEST_ID_MAX = 36
REQUEST_IDS_KEPT = 10_000
CATEGORIES = ("linear", "inverse", "spot", "option")
UNKNOWN_OP, AUTHED_ALREADY, SAME_REQUEST_ID, NOT_AUTHED = 10404, 20001, 20006, 10007


class TradeSession:
    """`reply` sends the answer to an op, `cut` ends the connection."""

    def __init__(
        self,
        exchange: Exchange,
        conn_id: str,
        address: str,
        reply: Callable[[str, bytes], None],
        cut: Callable[[], None],
    ) -> None:
        self.key: Key | None = None
        self._exchange = exchange
        self._conn_id = conn_id
        self._address = address
        self._reply = reply
        self._cut = cut
        self._request_ids: deque[str] = deque(maxlen=REQUEST_IDS_KEPT)
        self._known: set[str] = set()
        self._traces = 0

    def handle(self, text: bytes) -> None:
        """Perform and answer one frame of the client; never raises."""
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            self._say({}, "", Outcome(code=PARAMETER, message="params error: no JSON object"))
            return
        op = request.get("op")
        op = op if isinstance(op, str) else ""
        if op == "ping":
            data = [str(self._exchange.now_ms())]
            reply = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": data, "connId": self._conn_id}
            self._reply("ping", orjson.dumps(self._with_id(request, reply)))
            return
        try:
            self._auth(request) if op == "auth" else self._order(request, op)
        except RefusedError as refused:
            self._say(request, op, Outcome(code=refused.code, message=refused.message))

    def _auth(self, request: dict[str, Any]) -> None:
        if self.key is not None:
            raise RefusedError(AUTHED_ALREADY, "Repeat auth")
        exchange = self._exchange
        self.key = check_socket(
            exchange.engine.accounts, request.get("args"), self._address, exchange.now_ms()
        )
        reply = {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": self._conn_id}
        self._reply("auth", orjson.dumps(self._with_id(request, reply)))

    def _order(self, request: dict[str, Any], op: str) -> None:
        if op not in OPS:
            raise RefusedError(UNKNOWN_OP, f"op {op!r} is not found")
        if self.key is None:
            raise RefusedError(NOT_AUTHED, "User authentication failed.")
        self._remember(request.get("reqId"))
        header, args = request.get("header"), request.get("args")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            raise RefusedError(PARAMETER, "params error: header X-BAPI-TIMESTAMP is required")
        exchange = self._exchange
        check_window(header["X-BAPI-TIMESTAMP"], header.get("X-BAPI-RECV-WINDOW"), exchange.now_ms())
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise RefusedError(PARAMETER, "params error: args is one object")
        body: dict[str, Any] = args[0]
        if body.get("category") not in CATEGORIES:
            raise RefusedError(UNKNOWN_OP, f"category {body.get('category')!r} is not found")
        exchange.write(self.key, OPS[op], body, lambda outcome: self._say(request, op, outcome))

    def _remember(self, request_id: Any) -> None:
        if request_id in (None, ""):
            return
        if not isinstance(request_id, str) or len(request_id) > REQUEST_ID_MAX:
            raise RefusedError(PARAMETER, f"params error: reqId has up to {REQUEST_ID_MAX} characters")
        if request_id in self._known:
            raise RefusedError(SAME_REQUEST_ID, "reqId is duplicated")
        if len(self._request_ids) == REQUEST_IDS_KEPT:
            self._known.discard(self._request_ids[0])
        self._request_ids.append(request_id)
        self._known.add(request_id)

    def _with_id(self, request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        request_id = request.get("reqId")
        return {"reqId": request_id, **reply} if isinstance(request_id, str) else reply

    def _say(self, request: dict[str, Any], op: str, outcome: Outcome) -> None:
        if outcome.cut or outcome.status != 200:
            self._cut()
            return
        self._traces += 1
        reply: dict[str, Any] = {
            "retCode": outcome.code,
            "retMsg": outcome.message,
            "op": op,
            "data": outcome.result,
            "retExtInfo": outcome.ext,
            "header": {
                **outcome.headers,
                "Traceid": f"{self._traces:032x}",
                "Timenow": str(self._exchange.now_ms()),
            },
            "connId": self._conn_id,
        }
        self._reply(op, orjson.dumps(self._with_id(request, reply)))
