"""Order entry over a websocket (``/v5/trade``): requests, deadlines, results. Sans-I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from engine.bybit.credentials import Credentials
from engine.clock import NS_PER_S, Instant
from engine.errors import NotSentError
from engine.orders.ids import base36
from engine.orders.login import LoginSession

__all__ = ["EntryItem", "EntryResult", "EntrySession", "batch_items"]

REQUEST_TIMEOUT_S: Final = 5.0
PENDING_MAX: Final = 2_000
REQUEST_ID_MAX: Final = 36
RESTARTING_CODE: Final = 10019
TIMEOUT: Final = "timeout"
DISCONNECTED: Final = "disconnected"


@dataclass(frozen=True, slots=True)
class EntryItem:
    """What became of one order of a batch."""

    code: int
    message: str
    order_id: str
    order_link_id: str


@dataclass(frozen=True, slots=True)
class EntryResult:
    """The end of one request. ``code`` is None where no answer came, and ``message`` then says why.

    ``data`` is the venue's; ``items`` are those of a batch, in order; ``limits`` the headers, in lower case.
    """

    request_id: str
    op: str
    code: int | None
    message: str
    data: Mapping[str, Any]
    items: tuple[EntryItem, ...] = ()
    limits: Mapping[str, str] | None = None


class EntrySession(LoginSession):
    """The order-entry connection. Every request ends as exactly one `EntryResult` of `take_results`.

    ``name`` begins the request ids and must be another at each start of the program.
    """

    def __init__(self, credentials: Credentials, name: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        super().__init__(credentials)
        self.late_answers = 0
        self._name = name[: REQUEST_ID_MAX - 10]
        self._timeout_ns = round(timeout_s * NS_PER_S)
        self._made = 0
        self._pending: dict[str, tuple[str, int]] = {}  # op and deadline; deadlines rise in this order
        self._results: list[EntryResult] = []
        self._is_leaving = False
        # Others may write requests of their own; theirs must be known before an answer is looked at.
        self.before_answers: Callable[[], object] | None = None

    @property
    def takes_requests(self) -> bool:
        """Whether one more request may be written."""
        return self.is_ready and not self._is_leaving and len(self._pending) < PENDING_MAX

    @property
    def pending(self) -> int:
        """How many requests wait for their answers."""
        return len(self._pending)

    def next_id(self) -> str:
        """Return a request id that was never returned before."""
        self._made += 1
        # The fast path's are orderLinkIds: no letter stands before their number.
        return f"{self._name}-r-{base36(self._made)}"

    def request(
        self,
        op: str,
        fields: Mapping[str, object],
        now: Instant,
        *,
        stamp_ms: int,
        recv_window_ms: int,
    ) -> str:
        """Have a request sent, and return its id. Raises NotSentError where that is impossible now."""
        request_id = self.next_id()
        self.begin(request_id, op, now)
        header = {"X-BAPI-TIMESTAMP": str(stamp_ms), "X-BAPI-RECV-WINDOW": str(recv_window_ms)}
        self._sends.append(orjson.dumps({"reqId": request_id, "header": header, "op": op, "args": [fields]}))
        return request_id

    def begin(self, request_id: str, op: str, now: Instant) -> None:
        """Await the answer to a request that the caller writes itself. Raises NotSentError."""
        if not self.is_ready or self._is_leaving:
            problem = "order entry is not connected and logged in"
            raise NotSentError(problem, "wait until it is, or use REST")
        if len(self._pending) >= PENDING_MAX:
            raise NotSentError(f"{PENDING_MAX} requests wait for their answers", "send fewer at a time")
        self._pending[request_id] = (op, now.mono_ns + self._timeout_ns)

    def disconnected(self, now: Instant) -> None:
        """The socket is gone, and what became of the requests under way is not known."""
        super().disconnected(now)
        self._is_leaving = False
        for request_id in list(self._pending):
            self._give_up(request_id, DISCONNECTED)

    def take_results(self) -> list[EntryResult]:
        """Hand over what ended since the last call, in order."""
        results, self._results = self._results, []
        return results

    def _received(self, message: Mapping[str, Any], now: Instant) -> None:
        if self.before_answers is not None:
            self.before_answers()
        code = message.get("retCode")
        if code == RESTARTING_CODE:
            self._is_leaving = True  # what is under way is still answered, then another connection is due
        pending = self._pending.pop(str(message.get("reqId", "")), None)
        if pending is None or not isinstance(code, int):
            self.late_answers += 1
            return
        self._results.append(_result(message, code, pending[0]))

    def _check(self, now: Instant) -> None:
        for request_id, (_, due_ns) in list(self._pending.items()):
            if now.mono_ns < due_ns:
                break
            self._give_up(request_id, TIMEOUT)
        if self._is_leaving and not self._pending and self.reconnect_cause is None:
            self.reconnect_cause = "service_restart"

    def _deadlines(self) -> list[int]:
        return [due_ns for _, due_ns in list(self._pending.values())[:1]]

    def _give_up(self, request_id: str, reason: str) -> None:
        op, _ = self._pending.pop(request_id)
        self._results.append(EntryResult(request_id, op, None, reason, {}))


def batch_items(data: object, ext: object) -> tuple[EntryItem, ...]:
    """Bring the two parallel lists of a batch answer together: ids, and what became of each."""
    ids, verdicts = _list(data), _list(ext)
    return tuple(
        EntryItem(
            code if isinstance(code := verdict.get("code"), int) else -1,
            str(verdict.get("msg", "")),
            str(ids[index].get("orderId", "")) if index < len(ids) else "",
            str(ids[index].get("orderLinkId", "")) if index < len(ids) else "",
        )
        for index, verdict in enumerate(verdicts)
    )


def _result(message: Mapping[str, Any], code: int, op: str) -> EntryResult:
    data, header = message.get("data"), message.get("header")
    limits = _pairs(header.items()) if isinstance(header, Mapping) else {}
    return EntryResult(
        str(message["reqId"]),
        op,
        code,
        str(message.get("retMsg", "")),
        data if isinstance(data, Mapping) else {},
        batch_items(data, message.get("retExtInfo")) if op.endswith("-batch") else (),
        limits,
    )


def _pairs(items: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in items}


def _list(value: object) -> list[Mapping[str, Any]]:
    found = value.get("list") if isinstance(value, Mapping) else None
    if not isinstance(found, list):
        return []
    return [entry if isinstance(entry, Mapping) else {} for entry in found]
