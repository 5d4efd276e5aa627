"""What the dispatcher hands out, and the callbacks that take it.

Records are created by the dispatcher. `Trade` and ``OrderBook`` objects are live and reused from one call to the next:
`copy()` what you keep. `Ticker`, `Kline`, `Liquidation`, `Notice`, `Gap` and `Event` are new objects and may be kept.
"""

from decimal import Decimal, InvalidOperation

from libc.string cimport memcpy

from ext.book cimport OrderBook
from ext.fixed cimport to_decimal

cdef tuple TICK_DIRECTIONS = ("", "PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick")


cdef class Trade:
    """One public trade. Live and reused: valid inside `on_trade` only; `copy()` what you keep.

    Price and size are mantissas with their scales; `price` and `size` give Decimals. `side` is the taker's. Several
    trades may share one `seq`; (category, symbol, trade_id) is unique. `index` is the place within its message.
    """

    @property
    def trade_id(self):
        """The venue's id: a UUID on futures, a numeric string on spot."""
        return self._trade_id[:self._trade_id_size].decode("ascii")

    @property
    def side(self):
        """Taker side, "Buy" or "Sell"."""
        return "Buy" if self.is_buy else "Sell"

    @property
    def price(self):
        """Exact price."""
        return to_decimal(self.price_mantissa, self.price_scale)

    @property
    def size(self):
        """Exact size: base coin, or USD contracts on inverse."""
        return to_decimal(self.size_mantissa, self.size_scale)

    @property
    def tick_direction(self):
        """PlusTick, ZeroPlusTick, MinusTick, ZeroMinusTick, or "" where the venue sends none (spot, option)."""
        return TICK_DIRECTIONS[self._tick_direction]

    @property
    def source(self):
        """"live", or "backfill" where REST filled a gap with it."""
        return "backfill" if self.is_backfill else "live"

    def copy(self):
        """An independent Trade with the same values."""
        cdef Trade twin = Trade()
        twin.category = self.category
        twin.symbol = self.symbol
        twin.price_mantissa = self.price_mantissa
        twin.price_scale = self.price_scale
        twin.size_mantissa = self.size_mantissa
        twin.size_scale = self.size_scale
        twin.is_buy = self.is_buy
        twin.is_block = self.is_block
        twin.is_rpi = self.is_rpi
        twin.time_ms = self.time_ms
        twin.ts_ms = self.ts_ms
        twin.seq = self.seq
        twin.recv_ns = self.recv_ns
        twin.position = self.position
        twin.leg = self.leg
        twin.index = self.index
        memcpy(twin._trade_id, self._trade_id, sizeof(self._trade_id))
        twin._trade_id_size = self._trade_id_size
        twin._tick_direction = self._tick_direction
        twin.is_backfill = self.is_backfill
        return twin

    def __repr__(self):
        return f"<Trade {self.category} {self.symbol} {self.side} {self.size} @ {self.price} {self.trade_id}>"


cdef class Item:
    """One element of a message: whose it is, when it was sent and received, and its `index` within the message."""


cdef class Ticker(Item):
    """A ticker with everything known after this message.

    `fields` holds the merged fields as sent (text; a field never sent is absent, a field sent as "" is ""); `changed`
    those of this message alone. `seq` is the venue's cross sequence, 0 where it sends none.
    """

    def get(self, str field):
        """The exact Decimal of a field, or None where it is absent, empty or not a number."""
        text = self.fields.get(field)
        if not text:
            return None
        try:
            return Decimal(text)
        except InvalidOperation:
            return None

    def __repr__(self):
        return f"<Ticker {self.category} {self.symbol} {self.changed}>"


cdef class Kline(Item):
    """A candle as of this message; `is_closed` on its last one. `time_ms` is the last match inside it.

    One that a backfill brought is closed, and its `time_ms` is its end: when it matched last is not known.
    """

    @property
    def source(self):
        """"live", or "backfill" where REST filled a gap with it."""
        return "backfill" if self.is_backfill else "live"

    def __repr__(self):
        return (
            f"<Kline {self.category} {self.symbol} {self.interval} start={self.start_ms} "
            f"{self.open} {self.high} {self.low} {self.close}{' closed' if self.is_closed else ''}>"
        )


cdef class Liquidation(Item):
    """One liquidation. `side` is the position's: "Buy" means a long was liquidated. `price` is the bankruptcy price."""

    def __repr__(self):
        return f"<Liquidation {self.category} {self.symbol} {self.side} {self.size} @ {self.price}>"


cdef class Notice(Item):
    """One entry of a message that is about the venue rather than a market's prices.

    `kind` is "insurance", "adlAlert" (`symbol` is the entry's, where it names one), "priceLimit" or "system.status".
    `fields` are as sent, as text; what is no scalar, as JSON. `is_snapshot` is False for what the venue calls a delta:
    then entries that are not there have not changed.
    """

    def __repr__(self):
        return f"<Notice {self.category} {self.topic} {self.symbol} {self.fields}>"


cdef class Gap:
    """An interval of one topic in which data is missing or doubtful; open while `end_ns` is 0.

    `id` is the position of the record that opened it; `cause` and `fault` ("venue", "network", "ours", "caller") say
    why and whose; `missing` is the number of messages known to be lost, -1 where unknown. Times are wall clock ns.
    """

    def __init__(self, *, id, category, topic, cause, fault, leg, start_ns, end_ns, missing, detail, position):
        self.id = id
        self.category = category
        self.topic = topic
        self.cause = cause
        self.fault = fault
        self.leg = leg
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.missing = missing
        self.detail = detail
        self.position = position

    @property
    def is_closed(self):
        """Whether good data has resumed."""
        return self.end_ns != 0

    def __repr__(self):
        return (
            f"<Gap {self.category} {self.topic} {self.cause} ({self.fault}) start={self.start_ns} "
            f"end={self.end_ns or 'open'} {self.detail}>"
        )


cdef class Event:
    """Something that happened and lost nothing. `topic` is "" where it concerns the whole connection."""

    def __init__(self, *, category, topic, kind, detail, recv_ns, position=0, leg=0):
        self.category = category
        self.topic = topic
        self.kind = kind
        self.detail = detail
        self.recv_ns = recv_ns
        self.position = position
        self.leg = leg

    def __repr__(self):
        return f"<Event {self.category} {self.topic or '*'} {self.kind} {self.detail}>"


cdef class Listener:
    """The callbacks; every one does nothing here. Subclass in Python, or in Cython with no Python call.

    All are called on the thread that feeds the dispatcher, in the order of the messages. An exception is caught,
    counted, and logged once per kind: it harms neither the book nor the connection. docs/callbacks.md has the contract.
    The last five are about the account: an `engine.orders.OrderClient` calls them.
    """

    cpdef object on_book(self, OrderBook book):
        """A LIVE book changed. `book.change` holds the message's own levels."""

    cpdef object on_bbo(self, OrderBook book):
        """The best bid or ask (price or size) changed, or the book became LIVE."""

    cpdef object on_trade(self, Trade trade):
        """One public trade, in message order."""

    cpdef object on_ticker(self, Ticker ticker):
        """A ticker, merged with what came before."""

    cpdef object on_kline(self, Kline kline):
        """A candle update."""

    cpdef object on_liquidation(self, Liquidation liquidation):
        """One liquidation."""

    cpdef object on_notice(self, Notice notice):
        """One entry about insurance, deleveraging, price limits or the venue's status."""

    cpdef object on_gap(self, Gap gap):
        """A gap opened (`end_ns` 0) or closed."""

    cpdef object on_event(self, Event event):
        """Something happened that lost nothing."""

    cpdef object on_order(self, object event):
        """An order of the account became another (`engine.orders.OrderEvent`)."""

    cpdef object on_execution(self, object event):
        """A fill, or another booking that the venue calls an execution (`engine.orders.ExecutionEvent`)."""

    cpdef object on_position(self, object event):
        """A position changed (`engine.orders.PositionEvent`)."""

    cpdef object on_wallet(self, object event):
        """The account's totals or coins changed (`engine.orders.WalletEvent`)."""

    cpdef object on_greeks(self, object event):
        """The greeks of a base coin changed (`engine.orders.GreeksEvent`)."""


cdef class Control:
    """How a dispatcher reaches the session that owns its connection. Every method does nothing here."""

    cpdef object on_message(self, object message, int leg, int64_t recv_ns):
        """A decoded frame without a topic: an ack, a pong, an error."""

    cpdef object on_desync(self, str topic, int leg, int64_t recv_ns):
        """This book or ticker needs a new snapshot; an orderbook.full an answer of REST (`use` full_book)."""

    cpdef object on_sync(self, str topic, int leg, int64_t recv_ns):
        """The snapshot of this topic arrived."""
