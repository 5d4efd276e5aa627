"""The one place that sends REST requests: one session, the venue's allowances, signatures, its envelope."""

import asyncio
import random as random_module
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from engine.backoff import Backoff
from engine.bybit import endpoints
from engine.bybit.buckets import Buckets
from engine.bybit.credentials import Credentials
from engine.bybit.pacer import Pacer
from engine.bybit.remedies import CLOCK_CODES, remedy
from engine.bybit.server_clock import ServerClock
from engine.clock import Clock, SystemClock
from engine.errors import (
    AnswerError,
    ConfigError,
    ConnectError,
    HttpStatusError,
    InternalError,
    NotSentError,
    PeerError,
    RetCodeError,
    UsageError,
)

__all__ = ["AuditHook", "Http", "RestAnswer", "is_surely_refused", "is_transient", "rows"]

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
PAGES_MAX: Final = 100
TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 75.0
RETRIES: Final = 2
RETRY_DELAY_S: Final = 0.5
RETRY_DELAY_S_MAX: Final = 5.0
WAITING_MAX: Final = 1000
QUEUE_S: Final = 10.0  # how long a signed request may wait for its allowance
RECV_WINDOW_MS: Final = 5_000
RECV_WINDOW_MS_MAX: Final = 60_000
CLOCK_SAMPLES: Final = 3
NS_PER_MS: Final = 1_000_000

# What may be different the next time; every other retCode is an answer.
TRANSIENT_RET_CODES: Final = frozenset({10000, 10006, 10016, 10429})
TRANSIENT_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
TRANSIENT_REASONS: Final = frozenset({"dns", "refused", "timeout", "network"})
# No byte of the request went out.
UNSENT_REASONS: Final = frozenset({"dns", "refused", "tls"})
REFUSED_STATUSES: Final = frozenset({401, 403, 404})

# Takes "sent" or "received", the path, and what went over the wire: no headers, so no key and no signature.
AuditHook = Callable[[str, str, bytes], object]


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """One answer: what was asked, the body as received, its ``result``, ``retExtInfo`` and ``time`` in ms."""

    path: str
    query: Mapping[str, str]
    body: bytes
    result: Mapping[str, Any]
    ext: Mapping[str, Any] = field(default_factory=dict)
    time_ms: int = 0


class _Ask(NamedTuple):
    """A request: for a POST the body is what is signed and sent, for a GET the query is."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    category: str
    orders: int
    is_signed: bool
    recv_window_ms: int
    queue_s: float

    @property
    def endpoint(self) -> str:
        return self.path.removeprefix("/v5/")

    @property
    def payload(self) -> str:
        return self.body.decode() if self.body else query_text(self.query)


class Http:
    """Asks the REST interface of an environment; use it as ``async with Http(...) as http``.

    ``url`` replaces the base URL (``https://``, or ``http://`` to this machine). Each request takes at most
    ``timeout_s`` seconds. A GET that may be answered differently the next time is made again ``retries``
    times, after waits that double from ``retry_delay_s``; a POST is made once, whatever happens to it.
    ``pacer`` keeps the address's allowance: one for all clients of a process; ``buckets`` keep the
    account's. A signed request waits at most ``queue_s`` for its allowance. Once the venue refused this
    address (HTTP 403) nothing is asked for ten minutes.

    Methods raise ConnectError, HttpStatusError, RetCodeError, AnswerError, or NotSentError for what waited
    too long. One event loop.
    """

    def __init__(
        self,
        environment: str = "mainnet",
        *,
        region: str = "",
        url: str | None = None,
        credentials: Credentials | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        retry_delay_s: float = RETRY_DELAY_S,
        recv_window_ms: int = RECV_WINDOW_MS,
        pacer: Pacer | None = None,
        buckets: Buckets | None = None,
        server_clock: ServerClock | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_module.random,
        audit: AuditHook | None = None,
    ) -> None:
        self.url = endpoints.rest_base(environment, region=region, url=url)
        if credentials is not None and credentials.environment != environment:
            rule = f"the key is one of {credentials.environment}"
            raise ConfigError("environment", environment, rule, "load the credentials of the environment")
        if not 0 < recv_window_ms <= RECV_WINDOW_MS_MAX:
            rule = f"a window is 1 to {RECV_WINDOW_MS_MAX} ms"
            raise ConfigError("recv_window_ms", recv_window_ms, rule, f"use {RECV_WINDOW_MS}")
        self.environment = environment
        self.credentials = credentials
        self.buckets = buckets or Buckets()
        self.server_clock = server_clock or ServerClock()
        self.requests = 0
        self.retried = 0
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._recv_window_ms = recv_window_ms
        self._pacer = pacer or Pacer()
        self._clock = clock or SystemClock()
        self._random = random
        self._audit = audit
        self._waiting = 0
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            headers={"User-Agent": "tapehead"},
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # asking

    async def get(self, path: str, query: Mapping[str, str], *, signed: bool = False) -> RestAnswer:
        """Ask; parameters that are empty are left out."""
        asked = {name: value for name, value in query.items() if value}
        category = asked.get("category", "")
        ask = _Ask("GET", path, asked, b"", category, 1, signed, self._recv_window_ms, QUEUE_S)
        backoff = Backoff(self._retry_delay_s, RETRY_DELAY_S_MAX, self._random)
        has_resynced = False
        while True:
            try:
                return await self._ask(ask)
            except PeerError as error:
                is_clock = isinstance(error, RetCodeError) and error.ret_code in CLOCK_CODES
                if is_clock and signed and not has_resynced:
                    has_resynced = True  # the clock was measured again when the venue said so
                    continue
                if backoff.failures >= self._retries or not is_transient(error):
                    raise
            self.retried += 1
            await asyncio.sleep(backoff.next_s())

    async def pages(
        self, path: str, query: Mapping[str, str], *, signed: bool = False
    ) -> AsyncIterator[RestAnswer]:
        """Yield the pages of a list to its end; cursors go back as they came. 100 at most."""
        asked = dict(query)
        for _ in range(PAGES_MAX):
            answer = await self.get(path, asked, signed=signed)
            yield answer
            cursor = answer.result.get("nextPageCursor")
            if not cursor:
                return
            asked["cursor"] = str(cursor)
        raise AnswerError(path, f"more than {PAGES_MAX} pages")

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        recv_window_ms: int = 0,
        queue_s: float = QUEUE_S,
    ) -> RestAnswer:
        """Send a signed request, once. An error may leave open what became of it: `is_surely_refused`."""
        listed = body.get("request")
        orders = len(listed) if isinstance(listed, list) else 1
        category = str(body.get("category", ""))
        window_ms = recv_window_ms or self._recv_window_ms
        ask = _Ask("POST", path, {}, orjson.dumps(body), category, orders, True, window_ms, queue_s)
        return await self._ask(ask)

    # the venue's clock

    async def sync_clock(self) -> None:
        """Measure the venue's clock against ours; the best of three answers counts."""
        for _ in range(CLOCK_SAMPLES):
            await self.get("/v5/market/time", {})

    def server_ms(self) -> int | None:
        """The venue's time now; None where it is not known."""
        return self.server_clock.now_ms(self._clock.now().mono_ns)

    def timestamp_ms(self) -> int:
        """A timestamp that the venue takes now. Raises NotSentError where its clock is not known."""
        stamp_ms = self.server_clock.timestamp_ms(self._clock.now().mono_ns)
        if stamp_ms is None:
            raise NotSentError("the venue's clock is not known", "call sync_clock() first")
        return stamp_ms

    def clock_error_ms(self) -> float | None:
        """How far this machine's clock is ahead of the venue's; None where the venue's is not known."""
        now = self._clock.now()
        server_ms = self.server_clock.now_ms(now.mono_ns)
        return None if server_ms is None else now.wall_ns / NS_PER_MS - server_ms

    # inside

    async def _ask(self, ask: _Ask) -> RestAnswer:
        deadline_ms = self._mono_ms() + round(ask.queue_s * 1_000)
        await self._wait_for_turn(ask, deadline_ms)
        headers = await self._signed_headers(ask) if ask.is_signed else {}
        self._check_ban(ask.path)
        if ask.is_signed and self._mono_ms() > deadline_ms:
            raise _too_late(ask, self._mono_ms() - deadline_ms)
        self.requests += 1
        if self._audit is not None and ask.is_signed:
            self._audit("sent", ask.path, ask.payload.encode())
        sent_ns = self._clock.now().mono_ns
        status, body, limits = await self._fetch(ask, headers)
        received_ns = self._clock.now().mono_ns
        if self._audit is not None and ask.is_signed:
            self._audit("received", ask.path, body)
        if status == 403:
            self._pacer.refused(received_ns)
            text = "wait ten minutes: too many requests, or a country that is refused"
            raise HttpStatusError(self.url + ask.path, status, text)
        if status != 200:
            raise HttpStatusError(self.url + ask.path, status, "try again later")
        envelope = _envelope(ask.path, body)
        self._heard(ask, envelope, limits)
        if ask.path == "/v5/market/time":
            self._note_time(envelope, sent_ns, received_ns)
        if envelope["retCode"] != 0:
            await self._refused(ask, envelope)
        return _answer(ask, body, envelope)

    async def _wait_for_turn(self, ask: _Ask, deadline_ms: int) -> None:
        self._check_ban(ask.path)
        if self._waiting >= WAITING_MAX:
            problem = f"{self._waiting} requests wait for the venue's allowance"
            raise UsageError(problem, "ask for less at a time")
        self._waiting += 1
        try:
            if ask.is_signed:
                await self._wait_for_bucket(ask, deadline_ms)
            wait_s = self._pacer.reserve_s(self._clock.now().mono_ns)
            if ask.is_signed and (over_ms := self._mono_ms() + round(wait_s * 1_000) - deadline_ms) > 0:
                raise _too_late(ask, over_ms)
            await asyncio.sleep(wait_s)
        finally:
            self._waiting -= 1
        self._check_ban(ask.path)

    async def _wait_for_bucket(self, ask: _Ask, deadline_ms: int) -> None:
        while wait_ms := self.buckets.wait_ms(ask.endpoint, ask.category, self._mono_ms(), ask.orders):
            if (over_ms := self._mono_ms() + wait_ms - deadline_ms) > 0:
                raise _too_late(ask, over_ms)
            await asyncio.sleep(wait_ms / 1_000)
        self.buckets.take(ask.endpoint, ask.category, self._mono_ms(), ask.orders)

    async def _signed_headers(self, ask: _Ask) -> dict[str, str]:
        if self.credentials is None:
            raise UsageError(f"{ask.path} needs a key", "give credentials=Credentials.load(environment)")
        if self.server_clock.timestamp_ms(self._clock.now().mono_ns) is None:
            await self.sync_clock()
        stamp = str(self.timestamp_ms())
        window = str(ask.recv_window_ms)
        headers = {
            "X-BAPI-API-KEY": self.credentials.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self.credentials.sign(stamp + self.credentials.key + window + ask.payload),
        }
        if ask.method == "POST":
            headers["Content-Type"] = "application/json"
        return headers

    def _check_ban(self, path: str) -> None:
        if banned_s := self._pacer.banned_s(self._clock.now().mono_ns):
            text = f"this address was refused: nothing is asked for another {banned_s:.0f} s"
            raise HttpStatusError(self.url + path, 403, text)

    async def _fetch(self, ask: _Ask, headers: Mapping[str, str]) -> tuple[int, bytes, Mapping[str, str]]:
        if self._session is None:
            name = type(self).__name__
            raise InternalError(f"{name} is not open", f"use it as `async with {name}(...) as rest`")
        text = query_text(ask.query)
        url = URL(self.url + ask.path + (f"?{text}" if text else ""), encoded=True)
        body = b""
        try:
            async with self._session.request(
                ask.method, url, data=ask.body or None, headers=headers, allow_redirects=False
            ) as response:
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        break
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(self.url, error) from error
        if len(body) > ANSWER_BYTES_MAX:
            raise AnswerError(ask.path, f"longer than {ANSWER_BYTES_MAX} bytes")
        return response.status, body, response.headers

    def _heard(self, ask: _Ask, envelope: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Take what the venue tells about its allowance."""
        if not ask.is_signed:
            return
        self.buckets.heard(ask.endpoint, ask.category, _number(headers.get("X-Bapi-Limit")))
        if envelope["retCode"] == 10006:
            reset_ms = _number(headers.get("X-Bapi-Limit-Reset-Timestamp"))
            server_ms = self.server_ms()
            wait_ms = max(0, reset_ms - server_ms) if reset_ms and server_ms is not None else 1_000
            self.buckets.exhausted(ask.endpoint, ask.category, self._mono_ms() + wait_ms + 1)

    def _note_time(self, envelope: Mapping[str, Any], sent_ns: int, received_ns: int) -> None:
        result = envelope.get("result")
        nano = result.get("timeNano") if isinstance(result, Mapping) else None
        if isinstance(nano, str) and nano.isdecimal():
            self.server_clock.note(sent_ns, received_ns, int(nano))

    async def _refused(self, ask: _Ask, envelope: Mapping[str, Any]) -> None:
        code = envelope["retCode"]
        if code in CLOCK_CODES and ask.is_signed:
            self.server_clock.forget()
            await self.sync_clock()
        said = str(envelope.get("retMsg", ""))
        raise RetCodeError(ask.path, code, said, remedy(code, self.environment))

    def _mono_ms(self) -> int:
        return self._clock.now().mono_ns // NS_PER_MS


def is_transient(error: PeerError) -> bool:
    """Whether the same request may be answered differently a moment later."""
    if isinstance(error, ConnectError):
        return error.reason in TRANSIENT_REASONS
    if isinstance(error, HttpStatusError):
        return error.status in TRANSIENT_STATUSES
    return isinstance(error, RetCodeError) and error.ret_code in TRANSIENT_RET_CODES


def is_surely_refused(error: Exception) -> bool:
    """Whether a request that ended so never reached the venue's books; a retCode is another matter."""
    if isinstance(error, ConnectError):
        return error.reason in UNSENT_REASONS
    if isinstance(error, HttpStatusError):
        return error.status in REFUSED_STATUSES
    return isinstance(error, NotSentError | UsageError)


def query_text(query: Mapping[str, str]) -> str:
    """Return the query as it is signed and sent. A cursor comes percent-encoded and goes back as it came."""
    return "&".join(
        f"{name}={value if name == 'cursor' else quote(value, safe='')}" for name, value in query.items()
    )


def rows(answer: RestAnswer) -> list[Any]:
    """Return the ``list`` of a result. Raises AnswerError."""
    found = answer.result.get("list")
    if not isinstance(found, list):
        raise AnswerError(answer.path, f"list must be an array, was {found!r}")
    return found


def _envelope(path: str, body: bytes) -> Mapping[str, Any]:
    try:
        envelope = orjson.loads(body)
        envelope["retCode"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise AnswerError(path, f"{error!r} in {body[:100]!r}") from error
    return envelope  # type: ignore[no-any-return]  # it has a key, so it is a mapping


def _answer(ask: _Ask, body: bytes, envelope: Mapping[str, Any]) -> RestAnswer:
    result, ext, time_ms = envelope.get("result"), envelope.get("retExtInfo"), envelope.get("time")
    if not isinstance(result, Mapping):
        raise AnswerError(ask.path, f"result must be an object, was {result!r}")
    return RestAnswer(
        ask.path,
        ask.query,
        body,
        result,
        ext if isinstance(ext, Mapping) else {},
        time_ms if isinstance(time_ms, int) else 0,
    )


def _too_late(ask: _Ask, over_ms: int) -> NotSentError:
    problem = f"{ask.path} would wait {over_ms} ms too long for the venue's allowance"
    return NotSentError(problem, f"ask less often; it may wait {ask.queue_s:g} s")


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _unreachable(url: str, error: Exception) -> PeerError:
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (aiohttp.ClientSSLError, "tls"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientConnectorError, "refused"),
        (TimeoutError, "timeout"),
    )
    reason = next((reason for kind, reason in reasons if isinstance(error, kind)), "network")
    text = "check the network; `tapehead demo` needs none"
    return ConnectError(url, reason, str(error) or type(error).__name__, text)
