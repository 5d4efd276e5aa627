"""What to ask by REST, and what an answer proves. Sans-I/O; times are ms of the venue's clock.

After each subscription of the private streams everything is asked once: open orders, executions since the
last known, positions, wallet. At any time each order in doubt is asked for by its own name, in open orders,
history and executions, until one finds it or all three, asked late enough, do not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from engine.bybit.models import (
    ExecutionRow,
    OrderRow,
    PositionRow,
    WalletRow,
    read_execution,
    read_order,
    read_position,
    read_wallet,
)
from engine.errors import AnswerError
from engine.orders.account import Account
from engine.orders.events import AccountEvent
from engine.orders.order import ORDER_RECV_WINDOW_MS, PROOF_MARGIN_MS, Order, State

__all__ = ["SWEEPS", "Ask", "Reconciler", "What", "read_rows"]

Row = OrderRow | ExecutionRow | PositionRow | WalletRow

OVERLAP_MS: Final = 60_000  # executions are asked for from so long before the last known
WINDOW_MS: Final = 7 * 86_400_000 - 1_000  # of one question for executions; the venue takes seven days
RETRY_MS: Final = 1_000  # doubled with every answer that decides nothing
RETRY_MS_MAX: Final = 30_000
OWING_MS: Final = 2_000


class What(StrEnum):
    """What is asked: the endpoint after /v5/."""

    OPEN = "order/realtime"
    HISTORY = "order/history"
    EXECUTIONS = "execution/list"
    POSITIONS = "position/list"
    WALLET = "account/wallet-balance"


LOOKED_IN: Final = frozenset({What.OPEN, What.HISTORY, What.EXECUTIONS})
ROWS_A_PAGE: Final = {What.OPEN: "50", What.HISTORY: "50", What.EXECUTIONS: "100", What.POSITIONS: "200"}

# What one question of a category must name: linear is asked for by settle coin.
SWEEPS: Final[Mapping[str, tuple[Mapping[str, str], ...]]] = {
    "linear": ({"settleCoin": "USDT"}, {"settleCoin": "USDC"}),
    "inverse": ({},),
    "spot": ({},),
    "option": ({},),
}
WITHOUT_POSITIONS: Final = frozenset({"spot"})


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One question: ``params`` as the venue names them; pages are followed to the end by who asks.

    ``order``: the one that is looked for; None: of everything.
    """

    what: What
    category: str
    params: Mapping[str, str]
    order: Order | None = None


@dataclass(slots=True)
class _Search:
    """The search for one order."""

    next_ms: int
    proof_ms: int = 0
    delay_ms: int = RETRY_MS
    waiting: set[What] = field(default_factory=set)
    absent: set[What] = field(default_factory=set)
    was_closed: bool = False  # open orders did not have it, before history was asked


def read_rows(
    ask: Ask, raw_rows: Iterable[Mapping[str, Any]], time_ms: int
) -> tuple[list[Row], list[AnswerError]]:
    """Read the rows of an answer made at ``time_ms``; what cannot be read is told apart."""
    rows: list[Row] = []
    errors: list[AnswerError] = []
    for raw in raw_rows:
        try:
            rows.append(_read(ask, raw, time_ms))
        except AnswerError as error:
            errors.append(error)
    return rows, errors


class Reconciler:
    """Decides what to ask for an account and reads the answers into it.

    ``since_ms``: the time from which executions matter, the program's start. ``earlier_ms``: the last moment
    at which an earlier start may have sent an order, 0: there was none; open orders are asked for only when
    all of those have shown. Ask what `due` returns; tell each answer with `answered` or `failed`.
    """

    def __init__(
        self, account: Account, categories: Iterable[str], since_ms: int, earlier_ms: int = 0
    ) -> None:
        self.sweeps = 0
        self._account = account
        self._categories = tuple(categories)
        self._since_ms = since_ms
        self._shown_ms = earlier_ms + ORDER_RECV_WINDOW_MS + PROOF_MARGIN_MS + 1 if earlier_ms else 0
        self._is_subscribed = False
        self._wanted: dict[Ask, int] = {}  # of the sweep: when to ask
        self._asked: set[Ask] = set()
        self._seen: dict[str, set[Order]] = {}  # by category: open orders that the sweep found
        self._open_asked_ms: dict[str, int] = {}
        self._searches: dict[Order, _Search] = {}

    @property
    def is_reconciled(self) -> bool:
        """Whether the streams are subscribed and everything that was before them is known."""
        return self._is_subscribed and not self._wanted

    def subscribed(self, now_ms: int) -> None:
        """The private streams are acknowledged, now, for the first time or again: ask for everything."""
        self.sweeps += 1
        self._is_subscribed = True
        self._seen = {category: set() for category in self._categories}
        self._open_asked_ms.clear()
        asks = [Ask(What.WALLET, "", {"accountType": "UNIFIED"})]
        for category in self._categories:
            asks += self._sweep(category, now_ms)
        self._wanted = {ask: self._shown_ms if ask.what is What.OPEN else 0 for ask in asks}

    def disconnected(self) -> None:
        """The private streams are lost."""
        self._is_subscribed = False
        self._wanted.clear()

    def due(self, now_ms: int) -> list[Ask]:
        """Return the questions to ask now; each is returned once until its answer or failure is told."""
        asks = [ask for ask, at_ms in self._wanted.items() if at_ms <= now_ms and ask not in self._asked]
        # An execution may follow its order's row; an order in doubt is asked for at once.
        doubtful = dict.fromkeys(self._account.owing_orders(), now_ms + OWING_MS)
        unsure = [order for order in self._account.open_orders() if order.unsure(now_ms)]
        doubtful |= dict.fromkeys([*unsure, *self._account.unknown_orders()], now_ms)
        for order in [order for order in self._searches if order not in doubtful]:
            del self._searches[order]
        for order, first_ms in doubtful.items():
            search = self._searches.setdefault(order, _Search(first_ms))
            if not search.waiting and search.next_ms <= now_ms:
                asks += self._search(order, search)
        self._asked.update(asks)
        return asks

    def answered(
        self, ask: Ask, rows: Sequence[Row], asked_ms: int, *, unread: int = 0
    ) -> list[AccountEvent]:
        """Take all rows of an answer. ``asked_ms``: a venue's time that had surely come when it was asked.

        The timestamp of the request is one, the time in the answer is not. ``unread``: how many rows could
        not be read; such an answer proves nothing missing.
        """
        self._asked.discard(ask)
        events: list[AccountEvent] = []
        for row in rows:
            events += self._take(row, asked_ms)
        if ask.order is not None:
            events += self._searched(ask, ask.order, bool(rows or unread), asked_ms)
        elif ask in self._wanted:
            del self._wanted[ask]
            events += self._swept(ask, rows, asked_ms, is_whole=not unread)
        return events

    def failed(self, ask: Ask, now_ms: int) -> None:
        """There was no answer: ask again."""
        self._asked.discard(ask)
        if ask in self._wanted:
            self._wanted[ask] = now_ms + RETRY_MS
        elif ask.order in self._searches:
            self._searches[ask.order].waiting.discard(ask.what)
            self._searches[ask.order].next_ms = now_ms + RETRY_MS

    def _take(self, row: Row, asked_ms: int) -> list[AccountEvent]:
        if isinstance(row, OrderRow):
            return self._account.take_order(row, asked_ms)
        if isinstance(row, ExecutionRow):
            return self._account.take_execution(row, is_reconciled=True)
        if isinstance(row, PositionRow):
            return self._account.take_position(row, is_reconciled=True)
        return self._account.take_wallet(row, is_reconciled=True)

    def _sweep(self, category: str, now_ms: int) -> list[Ask]:
        asks = []
        for scope in SWEEPS[category]:
            asks.append(_ask(What.OPEN, category, scope))
            if category not in WITHOUT_POSITIONS:
                asks.append(_ask(What.POSITIONS, category, scope))
        newest_ms = self._account.executions.newest_ms.get(category, 0)
        start_ms = max(self._since_ms, newest_ms - OVERLAP_MS)
        for from_ms in range(start_ms, max(now_ms, start_ms) + 1, WINDOW_MS):
            window = {"startTime": str(from_ms), "endTime": str(from_ms + WINDOW_MS)}
            asks.append(_ask(What.EXECUTIONS, category, window))
        return asks

    def _swept(self, ask: Ask, rows: Sequence[Row], asked_ms: int, *, is_whole: bool) -> list[AccountEvent]:
        if ask.what is What.POSITIONS:
            self._ask_for_flat(ask, rows)
        if ask.what is not What.OPEN:
            return []
        category = ask.category
        for row in rows:
            order = isinstance(row, OrderRow) and self._account.order("", category, row.order_id)
            if order:
                self._seen[category].add(order)
        first_ms = min(asked_ms if is_whole else 0, self._open_asked_ms.get(category, asked_ms))
        self._open_asked_ms[category] = first_ms
        if any(other.what is What.OPEN and other.category == category for other in self._wanted):
            return []
        events: list[AccountEvent] = []
        for order in self._account.open_orders(category):
            is_older = order.state is State.LIVE and max(order.created_ms, order.sent_ms) < first_ms
            if is_older and order not in self._seen[category]:
                events += self._account.missing(order)
        return events

    def _ask_for_flat(self, ask: Ask, rows: Sequence[Row]) -> None:
        # A list by settle coin leaves out what is flat: where we know of a size, the symbol is asked for.
        if "symbol" in ask.params:
            return
        told = {row.symbol for row in rows if isinstance(row, PositionRow)}
        asked = {other.params.get("symbol") for other in self._wanted}
        for category, symbol in self._account.positions.symbols():
            if category == ask.category and symbol not in told | asked:
                self._wanted[_ask(What.POSITIONS, category, {"symbol": symbol})] = 0

    def _search(self, order: Order, search: _Search) -> list[Ask]:
        name = {"orderLinkId": order.link_id} if order.link_id else {"orderId": order.order_id}
        params = {"symbol": order.intent.symbol, **name}
        is_doubtful = order in self._account.unknown_orders() or order.amends
        wanted = LOOKED_IN - search.absent if is_doubtful else {What.EXECUTIONS}
        search.waiting = set(wanted)
        search.was_closed = What.OPEN in search.absent
        return [_ask(what, order.intent.category, params, order) for what in sorted(wanted)]

    def _searched(self, ask: Ask, order: Order, is_found: bool, asked_ms: int) -> list[AccountEvent]:
        search = self._searches.get(order)
        if search is None:
            return []
        search.waiting.discard(ask.what)
        if is_found or search.proof_ms != order.proof_ms:
            search.proof_ms = order.proof_ms
            search.absent.clear()
        # Between two questions an order can go from the open ones to history: only asked in that order, and
        # not at once, the two prove anything.
        is_in_turn = ask.what is not What.HISTORY or search.was_closed
        if not is_found and asked_ms > order.proof_ms and is_in_turn:
            search.absent.add(ask.what)
        if not search.waiting:
            later_ms = asked_ms + search.delay_ms
            search.delay_ms = min(2 * search.delay_ms, RETRY_MS_MAX)
            is_early = asked_ms <= order.proof_ms
            search.next_ms = min(later_ms, order.proof_ms + 1) if is_early else later_ms
            if search.absent == LOOKED_IN - {What.HISTORY} and not search.was_closed:
                search.next_ms = asked_ms
        if search.absent != LOOKED_IN:
            return []
        search.absent.clear()
        return self._account.absent(order)


def _ask(what: What, category: str, params: Mapping[str, str], order: Order | None = None) -> Ask:
    return Ask(what, category, {"category": category, **params, "limit": ROWS_A_PAGE[what]}, order)


def _read(ask: Ask, raw: Mapping[str, Any], time_ms: int) -> Row:
    if ask.what is What.EXECUTIONS:
        return read_execution(raw, ask.category)
    if ask.what is What.POSITIONS:
        return read_position(raw, ask.category)
    if ask.what is What.WALLET:
        return read_wallet(raw, time_ms)
    return read_order(raw, ask.category)
