"""Sends order requests, over the websocket or by REST, and says exactly once what came back.

A request is written once. Whoever began it may be gone by the time of its answer: so answers go to a
callback, not to a waiting task.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.bybit.buckets import Buckets
from engine.bybit.http import Http, RestAnswer, is_surely_refused
from engine.bybit.order_codes import Verdict, http_verdict, verdict
from engine.clock import Clock
from engine.errors import HttpStatusError, NotSentError, RetCodeError, TapeheadError
from engine.orders import audit
from engine.orders.account import Answer
from engine.orders.entry import EntryItem, EntryResult, EntrySession, batch_items
from engine.orders.link import Link

__all__ = ["Reply", "Sender", "item_answer"]

QUEUE_S: Final = 2.0  # how long an order request may wait for its allowance
NS_PER_MS: Final = 1_000_000
REST_ONLY: Final = frozenset({"spread"})
LIMITED_CODE: Final = 10006


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a request: an answer, or None and ``cause``, and then nobody knows what became of it.

    ``items`` are those of a batch that was accepted as a whole. ``stamp_ms`` is at least the request's
    timestamp, 0 where that is the one it was begun with.
    """

    answer: Answer | None
    cause: str = ""
    items: tuple[EntryItem, ...] = ()
    stamp_ms: int = 0


Told = Callable[[Reply], object]


class Sender:
    """Order requests of one account. ``link`` is that of order entry, None where the venue has none."""

    def __init__(
        self,
        http: Http,
        session: EntrySession | None,
        *,
        clock: Clock,
        recv_window_ms: int,
        trail: audit.Trail,
    ) -> None:
        self.link: Link | None = None
        self.sent = 0
        self._http = http
        self._session = session
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._trail = trail
        self._waiting: dict[str, tuple[str, Told]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def buckets(self) -> Buckets:
        """The account's allowances, of REST and order entry together."""
        return self._http.buckets

    def is_by_websocket(self, category: str) -> bool:
        """Whether requests of a category go over the websocket now."""
        return self._session is not None and category not in REST_ONLY

    def is_ready(self, category: str) -> bool:
        """Whether a request of a category could be written now."""
        if not self.is_by_websocket(category):
            return True
        return self._session is not None and self._session.is_ready

    async def allowance(self, verb: str, category: str, orders: int = 1) -> None:
        """Wait until the venue takes one more request. Raises NotSentError where that is too long."""
        deadline_ms = self._mono_ms() + round(QUEUE_S * 1_000)
        while wait_ms := self.buckets.wait_ms(f"order/{verb}", category, self._mono_ms(), orders):
            if self._mono_ms() + wait_ms > deadline_ms:
                problem = f"{verb} of {category} would wait {wait_ms} ms for the venue's allowance"
                raise NotSentError(problem, f"send less often; it may wait {QUEUE_S:g} s")
            await asyncio.sleep(wait_ms / 1_000)

    def stamp_ms(self) -> int:
        """The timestamp of a request that is begun now. Raises NotSentError where the clock is not known."""
        return self._http.timestamp_ms()

    def begin(
        self,
        verb: str,
        category: str,
        fields: Mapping[str, object],
        told: Told,
        *,
        stamp_ms: int,
        orders: int = 1,
    ) -> None:
        """Write a request, ``create``, ``amend-batch`` ..., before this returns if it goes by websocket.

        A cancel goes by REST while the websocket is down. Raises NotSentError, and then ``told`` is not
        called; else it is called once.
        """
        # Cancelling must not wait for a connection that is down.
        is_other_way = _op(verb) == "cancel" and not self.is_ready(category)
        if self.is_by_websocket(category) and not is_other_way:
            self._begin_entry(verb, category, fields, told, stamp_ms, orders)
        else:
            self._begin_rest(verb, category, fields, told)
        self.sent += 1

    def before_answers(self, call: Callable[[], object]) -> None:
        """Have this called before an answer is looked at."""
        if self._session is not None:
            self._session.before_answers = call

    @property
    def takes_tickets(self) -> bool:
        """Whether the fast path may write a request now."""
        return self._session is not None and self._session.takes_requests

    def expect(
        self, request_id: str, verb: str, category: str, fields: Mapping[str, object], told: Told
    ) -> None:
        """Await the answer to a request that the fast path wrote; ``told`` is called once."""
        self.sent += 1
        self.buckets.take(f"order/{verb}", category, self._mono_ms())
        self._trail.put(audit.request, "ws", f"order.{verb}", request_id, category, [fields])
        if self._session is None or self.link is None:
            raise NotSentError("order entry is not connected", "open the client")
        try:
            self._session.begin(request_id, f"order.{verb}", self._clock.now())
        except NotSentError:
            told(Reply(None, "disconnect"))  # the connection went after it was written
            return
        self._waiting[request_id] = (category, told)
        self.link.flush()

    def take_results(self) -> None:
        """Hand on what order entry answered."""
        if self._session is None:
            return
        for result in self._session.take_results():
            category, told = self._waiting.pop(result.request_id)
            orders = [(one.code, one.message, one.order_id, one.order_link_id) for one in result.items]
            self._trail.put(
                audit.answer, "ws", result.op, result.request_id, result.code, result.message, orders
            )
            self._heard(result, category)
            told(_entry_reply(result))

    async def close(self) -> None:
        """Wait for what is under way by REST; each has its own deadline."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin_entry(
        self, verb: str, category: str, fields: Mapping[str, object], told: Told, stamp_ms: int, orders: int
    ) -> None:
        if self._session is None or self.link is None:
            raise NotSentError("order entry is not connected", "open the client")
        now = self._clock.now()
        window_ms = self._recv_window_ms
        op = f"order.{verb}"
        request_id = self._session.request(op, fields, now, stamp_ms=stamp_ms, recv_window_ms=window_ms)
        self._waiting[request_id] = (category, told)
        inner = {name: value for name, value in fields.items() if name != "category"}
        sent = inner.get("request", [inner])
        self._trail.put(audit.request, "ws", op, request_id, category, sent)
        self.buckets.take(f"order/{verb}", category, self._mono_ms(), orders)
        self.link.flush()

    def _begin_rest(self, verb: str, category: str, fields: Mapping[str, object], told: Told) -> None:
        stem = "/v5/spread/order" if category == "spread" else "/v5/order"
        sent = {name: value for name, value in fields.items() if category != "spread" or name != "category"}
        task = asyncio.get_running_loop().create_task(self._rest(verb, f"{stem}/{verb}", sent, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rest(self, verb: str, path: str, fields: Mapping[str, object], told: Told) -> None:
        try:
            answer = await self._http.post(path, fields, recv_window_ms=self._recv_window_ms, queue_s=QUEUE_S)
        except TapeheadError as error:
            told(self._stamped(self._failed(verb, error)))
        except BaseException:
            # Cancelled from outside, or a fault: the request may be on its way all the same.
            told(self._stamped(Reply(None, "interrupted")))
            raise
        else:
            told(self._stamped(_rest_reply(verb, answer)))

    def _stamped(self, reply: Reply) -> Reply:
        return replace(reply, stamp_ms=self._http.server_ms() or 0)

    def _failed(self, verb: str, error: TapeheadError) -> Reply:
        now_ms = self._http.server_ms() or 0
        if isinstance(error, RetCodeError):
            found = verdict(_op(verb), error.ret_code)
            return Reply(Answer(found, error.ret_code, str(error), at_ms=now_ms))
        if isinstance(error, HttpStatusError):
            return Reply(Answer(http_verdict(error.status), error.status, str(error), at_ms=now_ms))
        if is_surely_refused(error):
            return Reply(Answer(Verdict.REFUSED, 0, str(error), at_ms=now_ms))
        return Reply(None, "timeout")

    def _heard(self, result: EntryResult, category: str) -> None:
        limits = result.limits or {}
        endpoint = result.op.replace(".", "/")
        limit, reset = limits.get("x-bapi-limit", ""), limits.get("x-bapi-limit-reset-timestamp", "")
        if limit.isdecimal():
            self.buckets.heard(endpoint, category, int(limit))
        if result.code == LIMITED_CODE:
            server_ms = self._http.server_ms()
            wait_ms = int(reset) - server_ms if reset.isdecimal() and server_ms is not None else 1_000
            self.buckets.exhausted(endpoint, category, self._mono_ms() + max(0, wait_ms) + 1)

    def _mono_ms(self) -> int:
        return self._clock.now().mono_ns // NS_PER_MS


def _op(verb: str) -> str:
    return verb.partition("-")[0]


def _entry_reply(result: EntryResult) -> Reply:
    if result.code is None:
        return Reply(None, "disconnect" if result.message == "disconnected" else result.message)
    limits = result.limits or {}
    at = limits.get("timenow", "")
    found = verdict(_op(result.op.partition(".")[2]), result.code)
    answer = Answer(
        found,
        result.code,
        result.message,
        str(result.data.get("orderId", "")),
        int(at) if at.isdecimal() else 0,
    )
    return Reply(answer, items=result.items)


def _rest_reply(verb: str, answer: RestAnswer) -> Reply:
    items = batch_items(answer.result, answer.ext) if verb.endswith("-batch") else ()
    accepted = Answer(Verdict.ACCEPTED, 0, "OK", str(answer.result.get("orderId", "")), answer.time_ms)
    return Reply(accepted, items=items)


def item_answer(verb: str, item: EntryItem, at_ms: int) -> Answer:
    """Return what a batch's answer says of one of its orders."""
    return Answer(verdict(_op(verb), item.code), item.code, item.message, item.order_id, at_ms)
