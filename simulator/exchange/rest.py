"""The signed endpoints over HTTP, without a socket: request in, answer out, perhaps later, perhaps never."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson

from simulator.exchange.auth import check_rest
from simulator.exchange.errors import PARAMETER, RefusedError
from simulator.exchange.exchange import Exchange, Outcome

PREFIX = "/v5/"
FORBIDDEN = b"access too frequent"


@dataclass(slots=True)
class Reply:
    """An HTTP answer; `cut`: the connection ends instead."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class SignedRest:
    """Checks who asks, and lets the exchange do it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._traces = 0

    def is_banned(self, address: str) -> bool:
        """Count a request of an address, and return whether it gets HTTP 403."""
        return self._exchange.addresses.is_banned(address, self._exchange.now_ms())

    def knows(self, method: str, path: str) -> bool:
        """Return whether it is a signed endpoint."""
        return path.startswith(PREFIX) and self._exchange.knows(method, path.removeprefix(PREFIX))

    def handle(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        address: str,
        answer: Callable[[Reply], None],
    ) -> None:
        """Answer a request; `target` is the path with the query, as it came. `answer` may never be called."""
        exchange = self._exchange
        path, _, query = target.partition("?")
        payload = query.encode() if method == "GET" else body
        endpoint = path.removeprefix(PREFIX)
        if method == "GET" and body:
            answer(Reply(403, b"a GET request has no body"))
            return
        try:
            key = check_rest(exchange.engine.accounts, headers, payload, address, exchange.now_ms())
            if method == "GET":
                found = dict(parse_qsl(query, keep_blank_values=True))
                answer(self._reply(exchange.read(key, endpoint, found)))
                return
            asked = orjson.loads(body or b"{}")
            if not isinstance(asked, dict):
                raise RefusedError(PARAMETER, "params error: the body is no JSON object")
        except orjson.JSONDecodeError:
            answer(self._refused(RefusedError(PARAMETER, "params error: the body is no JSON")))
        except RefusedError as refused:
            answer(self._refused(refused))
        else:
            exchange.write(key, endpoint, asked, lambda outcome: answer(self._reply(outcome)))

    def _refused(self, refused: RefusedError) -> Reply:
        return self._reply(
            Outcome(code=refused.code, message=refused.message, time_ms=self._exchange.now_ms())
        )

    def _reply(self, outcome: Outcome) -> Reply:
        self._traces += 1
        headers = {**outcome.headers, "Traceid": f"{self._traces:032x}", "Timenow": str(outcome.time_ms)}
        if outcome.status != 200:
            return Reply(outcome.status, b"<html>bad gateway</html>", headers, outcome.cut)
        body = orjson.dumps(
            {
                "retCode": outcome.code,
                "retMsg": outcome.message,
                "result": outcome.result,
                "retExtInfo": outcome.ext,
                "time": outcome.time_ms,
            }
        )
        return Reply(200, body, headers, outcome.cut)
