"""Between a range and its listener: a gate with a choice of topics, and a listener that copies."""

from collections import deque
from collections.abc import Iterable
from fnmatch import fnmatchcase

from engine.errors import ConfigError, TopicError, nearest
from ext.book import OrderBook
from ext.listener import Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade

__all__ = ["Copies", "Gate", "Heard", "Selection"]

Heard = OrderBook | Trade | Ticker | Kline | Liquidation | Notice | Gap | Event


class Selection:
    """A choice of topics: those of a category, of symbols, like a pattern; what is empty chooses all."""

    def __init__(self, category: str, symbols: Iterable[str], topics: Iterable[str]) -> None:
        self.category = category
        self.symbols = frozenset(_listed("symbols", symbols))
        self.topics = _listed("topics", topics)
        self._known: dict[tuple[str, str, str], bool] = {}

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.category or self.symbols or self.topics)

    def has(self, category: str, topic: str, symbol: str = "") -> bool:
        """Whether a topic is chosen, and of one that carries several symbols this one."""
        key = (category, topic, symbol)
        chosen = self._known.get(key)
        if chosen is None:
            chosen = self._known[key] = self._judge(category, topic, symbol)
        return chosen

    def _judge(self, category: str, topic: str, symbol: str) -> bool:
        if self.category and category != self.category:
            return False
        if self.topics and not any(fnmatchcase(topic, pattern) for pattern in self.topics):
            return False
        if not self.symbols:
            return True
        name = symbol or symbol_of(topic)
        # Option trades come by base coin, and so do their gaps.
        coins = {one.partition("-")[0] for one in self.symbols} if category == "option" else set()
        return name in self.symbols or (not symbol and name in coins)

    def check(self, known: dict[str, set[str]]) -> None:
        """Raise TopicError for what none of the known topics (by category) has, naming the nearest."""
        if self.category and self.category not in known:
            problem = f"category was {self.category!r}, the range has {', '.join(sorted(known)) or 'none'}"
            raise _unknown(problem, self.category, known)
        names = {topic for category in known for topic in known[category] if self.category in ("", category)}
        for pattern in self.topics:
            if not any(fnmatchcase(topic, pattern) for topic in names):
                problem = f"topic was {pattern!r}, which is not among the {len(names)} of the range"
                raise _unknown(problem, pattern, names)
        symbols = {symbol_of(topic) for topic in names}
        for symbol in sorted(self.symbols):
            if symbol not in symbols and symbol.partition("-")[0] not in symbols:
                problem = f"symbol was {symbol!r}, which is not among the {len(symbols)} of the range"
                raise _unknown(problem, symbol, symbols)


def symbol_of(topic: str) -> str:
    """Return what a topic is about: a symbol, a base coin, a coin."""
    kind, _, rest = topic.partition(".")
    return rest.partition(".")[2] if kind in ("orderbook", "kline") else rest


def _unknown(problem: str, value: str, known: Iterable[str]) -> TopicError:
    near = nearest(value, known)
    return TopicError(problem, value, near, "" if near else "give one that was recorded")


def _listed(name: str, values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ConfigError(name, values, "it is a list of names", f"write [{values!r}]")
    return tuple(values)


def trade_topic(category: str, symbol: str) -> str:
    """Return the topic by which trades of a symbol come."""
    return "publicTrade." + (symbol.partition("-")[0] if category == "option" else symbol)


class Gate(Listener):
    """Hands on what a selection has, once it is open. `lets_all`: then it could as well not be there."""

    def __init__(self, listener: Listener, selection: Selection) -> None:
        self.is_open = False
        self.lets_all = selection.is_all
        self.listener = listener
        self._has = selection.has

    def on_book(self, book: OrderBook) -> None:
        if self.is_open and self._has(book.category, book.topic):
            self.listener.on_book(book)

    def on_bbo(self, book: OrderBook) -> None:
        if self.is_open and self._has(book.category, book.topic):
            self.listener.on_bbo(book)

    def on_trade(self, trade: Trade) -> None:
        if self.is_open and self._has(
            trade.category, trade_topic(trade.category, trade.symbol), trade.symbol
        ):
            self.listener.on_trade(trade)

    def on_ticker(self, ticker: Ticker) -> None:
        if self.is_open and self._has(ticker.category, f"tickers.{ticker.symbol}"):
            self.listener.on_ticker(ticker)

    def on_kline(self, kline: Kline) -> None:
        if self.is_open and self._has(kline.category, f"kline.{kline.interval}.{kline.symbol}"):
            self.listener.on_kline(kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        if self.is_open and self._has(liquidation.category, f"allLiquidation.{liquidation.symbol}"):
            self.listener.on_liquidation(liquidation)

    def on_notice(self, notice: Notice) -> None:
        if self.is_open and self._has(notice.category, notice.topic):
            self.listener.on_notice(notice)

    def on_gap(self, gap: Gap) -> None:
        if self.is_open and self._has(gap.category, gap.topic):
            self.listener.on_gap(gap)

    def on_event(self, event: Event) -> None:
        if self.is_open and (not event.topic or self._has(event.category, event.topic)):
            self.listener.on_event(event)


class Copies(Listener):
    """Keeps what it hears, copied where the object is used again, until it is taken; no `on_bbo`."""

    def __init__(self) -> None:
        self._heard: deque[Heard] = deque()

    def take(self) -> Iterable[Heard]:
        """Yield what was heard since the last call."""
        while self._heard:
            yield self._heard.popleft()

    def on_book(self, book: OrderBook) -> None:
        self._heard.append(book.copy())

    def on_trade(self, trade: Trade) -> None:
        self._heard.append(trade.copy())

    def on_ticker(self, ticker: Ticker) -> None:
        self._heard.append(ticker)

    def on_kline(self, kline: Kline) -> None:
        self._heard.append(kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self._heard.append(liquidation)

    def on_notice(self, notice: Notice) -> None:
        self._heard.append(notice)

    def on_gap(self, gap: Gap) -> None:
        self._heard.append(gap)

    def on_event(self, event: Event) -> None:
        self._heard.append(event)
