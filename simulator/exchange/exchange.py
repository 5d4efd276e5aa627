"""The exchange behind its doors: who may ask how often, what goes wrong, what streams are told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from simulator.clock import Clock
from simulator.exchange.accounts import Account, Key
from simulator.exchange.auth import check_writes
from simulator.exchange.engine import Engine
from simulator.exchange.errors import TOO_MANY, RefusedError
from simulator.exchange.faults import NORMAL, Fate, OrderFaults
from simulator.exchange.journal import Journal
from simulator.exchange.limits import AddressLimit, Limits
from simulator.exchange.markets import Market
from simulator.exchange.operations import OPERATIONS, TOO_MANY_TEXT, Request, ids
from simulator.exchange.position_operations import POSITION_OPERATIONS
from simulator.exchange.queries import QUERIES, Queries, key_info
from simulator.exchange.quotes import LiveQuotes
from simulator.exchange.spread import SPREAD_OPERATIONS, SPREAD_QUERIES
from simulator.faults.fault import NEVER_NS
from simulator.generated import Generated
from simulator.hub import Hub
from simulator.market import Trade
from simulator.ticker import FUNDING_MS

KEY_INFO = "user/query-api"
ALL_OPERATIONS = {**OPERATIONS, **POSITION_OPERATIONS, **SPREAD_OPERATIONS}
ALL_QUERIES = {**QUERIES, **SPREAD_QUERIES}


@dataclass(slots=True)
class Outcome:
    """What a request is answered with. A `status` other than 200 has no envelope; `cut`: the end."""

    code: int = 0
    message: str = "OK"
    result: dict[str, Any] = field(default_factory=dict)
    ext: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    cut: bool = False
    time_ms: int = 0


DCP_PRODUCTS = {"dcp.future": "DERIVATIVES", "dcp.spot": "SPOT", "dcp.option": "OPTIONS", "dcp": "OPTIONS"}

Answer = Callable[[Outcome], None]


class Exchange:
    """An engine on the markets of a generated source. Runs on one thread."""

    def __init__(
        self,
        source: Generated,
        hub: Hub,
        clock: Clock,
        *,
        journal: Journal | None = None,
        seed: int = 1,
        counts_addresses: bool = False,
    ) -> None:
        self.journal = journal or Journal()
        self.faults = OrderFaults(seed)
        self.limits = Limits()
        self.addresses = AddressLimit(counts_addresses)
        self.engine = Engine(self._find, self._publish, self._watch, self.journal, self.now_ms, seed)
        self._queries = Queries(self.engine)
        self._source = source
        self._hub = hub
        self._clock = clock
        self._markets: dict[tuple[str, str], Market] = {}
        self._frames = 0
        self._plan_funding()

    def now_ms(self) -> int:
        """Return the venue's time in ms."""
        return self._clock() // 1_000_000

    def _find(self, category: str, symbol: str) -> Market | None:
        key = (category, symbol)
        listing = self._source.listings.get(key)
        if listing is None or listing.instrument.status != "Trading":
            return None
        found = self._markets.get(key)
        if found is None:
            quotes = LiveQuotes(lambda: self._source.market(category, symbol))
            found = self._markets[key] = Market(listing.instrument, quotes)
        elif found.instrument is not listing.instrument:
            found.regrid(listing.instrument)
        return found

    def _watch(self, market: Market) -> None:
        self._source.observe(market.category, market.symbol, partial(self._moved, market))

    def prepare(self) -> None:
        """Make every market now rather than at its first use, which takes a second or so."""
        for category, symbol in self._source.listings:
            self._source.market(category, symbol)

    def _moved(self, market: Market, trades: list[Trade]) -> None:
        """A step of a market: its trades, in decimals. RPI trades touch nobody's order."""
        tick, step = market.unit()
        self.engine.moved(
            market, [(one.price * tick, one.size * step, one.buys) for one in trades if not one.rpi]
        )

    def _publish(self, account: Account, topic: str, category: str, rows: list[dict[str, Any]]) -> None:
        """Send rows to who is subscribed to the topic, and to who is to its form of one category."""
        named = f"{topic}.{category}" if category and not topic.startswith("spread.") else topic
        for name in dict.fromkeys((topic, named)):
            stream = self._hub.stream(f"private/{account.uid}", name)
            if not stream.subscribers:
                continue
            self._frames += 1
            frame: dict[str, Any] = {"topic": name, "creationTime": self.now_ms(), "data": rows}
            if topic != "execution.fast":
                frame = {"id": f"{account.uid}{self._frames:012x}", **frame}
            payload = orjson.dumps(frame)
            for late_ms in self.faults.streamed(name, self._hub.clock()):
                if late_ms:
                    self._put_off(late_ms, partial(self._hub.publish, stream, payload))
                else:
                    self._hub.publish(stream, payload)

    def _put_off(self, late_ms: int, act: Callable[[], None]) -> None:
        self.engine.later(self.now_ms() + late_ms, act)
        self._hub.scheduled.set()

    def market(self, category: str, symbol: str) -> Market | None:
        """Return a trading market."""
        return self._find(category, symbol)

    def fault_ns(self) -> int:
        """Return the time that faults go by."""
        return self._hub.clock()

    def flush(self) -> None:
        """Send what the streams are to be told."""
        self.engine.outbox.send()
        self._hub.flush()

    def disconnected(self, account: Account, topic: str) -> None:
        """The last connection that armed disconnect-cancel-all has gone: cancel when its window is over."""
        product = DCP_PRODUCTS.get(topic, "OPTIONS")
        window_s = account.dcp_windows.get(product)
        if window_s is None:
            return
        stream = self._hub.stream(f"private/{account.uid}", topic)

        def cancel() -> None:
            if not stream.subscribers:
                self.engine.cancel_product(account, product)

        self._put_off(window_s * 1_000, cancel)

    def _plan_funding(self) -> None:
        next_ms = self.now_ms() // FUNDING_MS * FUNDING_MS + FUNDING_MS
        self.engine.later(next_ms, self._fund)

    def _fund(self) -> None:
        self.engine.fund()
        self._plan_funding()

    def tick(self) -> None:
        """Do what is due by now."""
        self.engine.tick()
        self._hub.flush()

    def next_ns(self) -> int:
        """Return when something is due next, in ns of the venue's clock."""
        due_ms = self.engine.next_ms()
        return NEVER_NS if due_ms is None else due_ms * 1_000_000

    def knows(self, method: str, endpoint: str) -> bool:
        """Return whether there is a signed endpoint of a name like order/create."""
        if method == "POST":
            return endpoint in ALL_OPERATIONS
        return endpoint in ALL_QUERIES or endpoint == KEY_INFO

    def read(self, key: Key, endpoint: str, query: dict[str, str]) -> Outcome:
        """Answer a query."""
        outcome = Outcome(time_ms=self.now_ms())
        category = query.get("category", "")
        let_in, outcome.headers = self.limits.take(key.account, endpoint, category, outcome.time_ms)
        try:
            if not let_in:
                raise RefusedError(TOO_MANY, TOO_MANY_TEXT)
            if endpoint == KEY_INFO:
                outcome.result = key_info(key, outcome.time_ms)
            else:
                outcome.result = ALL_QUERIES[endpoint](self._queries, key.account, query)
        except RefusedError as refused:
            outcome.code, outcome.message = refused.code, refused.message
        return outcome

    def write(self, key: Key, endpoint: str, body: dict[str, Any], answer: Answer) -> None:
        """Perform a request and answer it, as far as the faults that are armed let it."""
        fate = self.faults.fate(f"/v5/{endpoint}", body, self._hub.clock())
        if fate is not NORMAL:
            self.journal.fault(self.now_ms(), fate.name, endpoint, str(body.get("orderLinkId", "")))
        if fate.performs == "late":
            self._put_off(fate.late_ms, lambda: self._perform_late(key, endpoint, body))
            outcome = Outcome(time_ms=self.now_ms())
        elif fate.performs == "never":
            outcome = Outcome(time_ms=self.now_ms())
        else:
            raced = self._race(key.account, body) if fate.fills_first else None
            outcome = raced or self._perform(key, endpoint, body, fate)
        if fate.code:
            outcome.code, outcome.message, outcome.result, outcome.ext = fate.code, "Server error.", {}, {}
        outcome.status = fate.status or outcome.status
        outcome.cut = fate.answers == "cut"
        if fate.answers == "late":
            self._put_off(fate.late_ms, lambda: self._answer(answer, outcome))
        elif fate.answers != "never":
            answer(outcome)
        self.flush()

    def _answer(self, answer: Answer, outcome: Outcome) -> None:
        outcome.time_ms = self.now_ms()
        answer(outcome)

    def _perform_late(self, key: Key, endpoint: str, body: dict[str, Any]) -> None:
        self._perform(key, endpoint, body, NORMAL)

    def _perform(self, key: Key, endpoint: str, body: dict[str, Any], fate: Fate) -> Outcome:
        outcome = Outcome(time_ms=self.now_ms())
        category = str(body.get("category", ""))
        items = body.get("request")
        units = (
            len(items)
            if endpoint.endswith("-batch") and isinstance(items, list) and category != "option"
            else 1
        )
        let_in, outcome.headers = self.limits.take(
            key.account, endpoint, category, outcome.time_ms, max(1, units)
        )
        request = Request(self.engine, key.account, body, let_in if category != "option" else 1 << 30)
        if fate.performs == "placed_late":
            request.placed_late_ms = fate.late_ms
            self._hub.scheduled.set()
        try:
            check_writes(key)
            if not let_in:
                raise RefusedError(TOO_MANY, TOO_MANY_TEXT)
            outcome.result = ALL_OPERATIONS[endpoint](request)
            outcome.ext = request.ext
        except RefusedError as refused:
            outcome.code, outcome.message = refused.code, refused.message
        return outcome

    def _race(self, account: Account, body: dict[str, Any]) -> Outcome | None:
        """Fill what is to be cancelled and acknowledge the cancel; None where there is nothing to fill.

        The order is shown twice, as the venue does after a race.
        """
        try:
            order = self.engine.order(account, body.get("category"), body)
        except RefusedError:
            return None
        if not order.is_open:
            return None
        book, _ = self.engine.book(self.engine.wallets.market(order.category, order.symbol))
        book.fill(order)
        order.cancel_type, order.reject_reason = "CancelByUser", "EC_OrigClOrdIDDoesNotExist"
        self.engine.ledger.report(order)
        return Outcome(result=ids(order), time_ms=self.now_ms())
