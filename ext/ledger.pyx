"""Ledger: what a dispatcher keeps and tells: its topics and their books, gaps, events, counts, the call under way."""

from libc.stdint cimport int64_t, uint64_t

from ext.backfill cimport Hole, KlineMemory, TradeMemory
from ext.book cimport CROSSED, LOCKED, NEGATIVE_PRICE, PLAIN, TOO_DEEP, BookState, OrderBook
from ext.calls cimport Calls
from ext.listener cimport Control, Event, Gap, Item, Listener
from ext.splice cimport Splice
from ext.topics cimport TOPIC_BOOK, TOPIC_TICKER, Topic, TopicTable

# What a book of each category can never be. Options and spreads may be crossed or locked; spreads may be negative.
cdef dict _IMPOSSIBLE = {
    "spot": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "linear": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "inverse": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "option": TOO_DEEP | NEGATIVE_PRICE,
    "spread": TOO_DEEP,
    "status": 0,
}
# orderbook.rpi has 50 prices a side, orderbook.full all there are.
cdef dict _NAMED_DEPTHS = {"rpi": 50, "full": 0}


cdef class Ledger:
    """The state of one category; see ``Dispatcher``, which is what is made of it."""

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        if category not in _IMPOSSIBLE:
            raise ValueError(f"category was {category!r}; use one of {', '.join(_IMPOSSIBLE)}")
        if listener is None:
            raise TypeError("listener was None; give a Listener")
        self.category = category
        self.listener = listener
        self._control = control
        self._rules = dict(rules or {})
        for depth, rule in self._rules.items():
            if rule not in ("strict", "warn"):
                raise ValueError(f"the rule of depth {depth} was {rule!r}; use 'strict' or 'warn'")
        self._forbidden = _IMPOSSIBLE[category]
        self._scales = {}
        self._symbol_books = {}
        self._topics = TopicTable()
        self._calls = Calls(listener)

    # -- the call under way

    cdef int _begin(self, int64_t recv_ns, int leg, uint64_t position) except -1:
        """Busy from here on; who began says when it is over."""
        if self._busy:
            raise RuntimeError("Dispatcher was fed from inside its own callback; feed it after the callback returns")
        if leg < 0 or leg >= LEGS_MAX:
            raise ValueError(f"leg was {leg}; use 0 to {int(LEGS_MAX) - 1}")
        self._recv_ns = recv_ns
        self._leg = leg
        if position == 0:
            # Gaps need an identity where nothing is recorded. Recorded positions start above 2**32.
            self._unrecorded += 1
            position = self._unrecorded
        self._position = position
        self._busy = True
        return 0

    cdef Turn _turn(self, int64_t recv_ns, int leg, uint64_t position):
        """For ``with``: `_begin`, and whatever happens in it, its end."""
        self._begin(recv_ns, leg, position)
        cdef Turn turn = Turn()
        turn._ledger = self
        return turn

    # -- what users read

    def scales(self, str symbol, int price_scale, int size_scale):
        """Decimals of a symbol's prices and sizes, from its instrument: books created from now on start with them."""
        for name, scale in (("price_scale", price_scale), ("size_scale", size_scale)):
            if not 0 <= scale <= 18:
                raise ValueError(f"{name} of {symbol} must be 0 to 18 decimals, was {scale}")
        self._scales[symbol] = (price_scale, size_scale)

    def book(self, str symbol, depth):
        """The OrderBook of a symbol and depth (1 to 1000, "rpi" or "full"), live and reused; None where unknown."""
        cdef Topic topic = self._topics.by_name.get(f"orderbook.{depth}.{symbol}")
        return None if topic is None else topic.book

    def books(self):
        """All books, in the order in which their topics were first seen."""
        cdef Topic topic
        return [topic.book for topic in self._topics.by_name.values() if topic.book is not None]

    def ticker(self, str symbol):
        """The merged ticker fields of a symbol as sent; None before its snapshot."""
        cdef Topic topic = self._topics.by_name.get(f"tickers.{symbol}")
        return None if topic is None else topic.fields

    def open_gaps(self):
        """The gaps that are open now."""
        cdef Topic topic
        return [topic.gap for topic in self._topics.by_name.values() if topic.gap is not None]

    def legs_of(self, str topic):
        """The legs that carry a topic, in the order in which they were told of."""
        cdef Topic known = self._topics.by_name.get(topic)
        return [] if known is None else list(known.legs)

    def first_recv_ns(self, str topic):
        """When the first message of a topic came that is neither book nor ticker, since it was wanted; else 0."""
        cdef Topic known = self._topics.by_name.get(topic)
        return 0 if known is None else known.first_recv_ns

    def last_recv_ns(self, str topic):
        """When the last good frame of a topic came (wall clock ns); 0 where none has."""
        cdef Topic known = self._topics.by_name.get(topic)
        return 0 if known is None else known.last_recv_ns

    @property
    def counters(self):
        """Counts since creation, by name."""
        counts = dict(self._counts)
        counts["callback_failures"] = self._calls.failures
        return counts

    # -- topics

    cdef Topic _named(self, str name):
        """The topic of that name, created where it is new."""
        cdef Topic topic = self._topics.by_name.get(name)
        if topic is not None:
            return topic
        kind, _, rest = name.partition(".")
        parameter, _, symbol = rest.partition(".")
        if kind == "orderbook" and (parameter.isdecimal() or parameter in _NAMED_DEPTHS):
            topic = Topic(name, symbol)
            self._make_book(topic, parameter)
        elif kind == "kline":
            topic = Topic(name, symbol, parameter)
            topic.klines = KlineMemory()
        else:
            topic = Topic(name, rest)
            if kind == "tickers":
                topic.kind = TOPIC_TICKER
            elif kind == "publicTrade":
                topic.trades = TradeMemory()
        self._topics.add(topic)
        return topic

    cdef int _join(self, Topic topic, int leg) except -1:
        """A leg carries the topic from now on."""
        return topic.join(leg)

    cdef int _confirm(self, Topic topic, int leg) except -1:
        """The venue confirmed that a leg carries the topic, which is a stream."""
        topic.is_heard = True
        return 0

    cdef int _part(self, Topic topic, int leg) except -1:
        """A leg carries the topic no more."""
        return topic.part(leg)

    cdef int _make_book(self, Topic topic, str parameter) except -1:
        cdef Topic other
        topic.kind = TOPIC_BOOK
        topic.book = self._new_book(topic.symbol, parameter)
        topic.bbo_price_scale = -1
        topic.forbidden = self._forbidden
        if parameter == "full":
            topic.splice = Splice()
            topic.forbidden &= ~TOO_DEEP
        if topic.book.kind_code == PLAIN:
            topic.is_strict = self._rules.get(topic.book.depth, "strict") == "strict"
            topic.peers = []
            topics = self._symbol_books.setdefault(topic.symbol, [])
            for other in topics:
                if (other.book.depth == 1) != (topic.book.depth == 1):
                    other.peers.append(topic)
                    other.tell_more()
                    topic.peers.append(other)
            topics.append(topic)
        return topic.tell_more()

    cdef OrderBook _new_book(self, str symbol, str parameter):
        price_scale, size_scale = self._scales.get(symbol, (0, 0))
        if parameter in _NAMED_DEPTHS:
            depth = _NAMED_DEPTHS[parameter]
            return OrderBook(self.category, symbol, depth, price_scale, size_scale, kind=parameter)
        return OrderBook(self.category, symbol, int(parameter), price_scale, size_scale)

    cdef int _forget(self, Topic topic) except -1:
        """What is known of the topic's state is not to be trusted any more."""
        topic.fields = None
        topic.is_heard = False
        topic.bbo_price_scale = -1
        if topic.kind == TOPIC_BOOK:
            topic.book.state = BookState.STALE
            if topic.book.rpi is not None:
                topic.book.rpi.state = BookState.STALE
            topic.shadow = None
            topic.audit = None
            if topic.splice is not None:
                topic.splice.clear()
            topic.tell_more()
        return 0

    # -- gaps

    cdef bint _leave(self, Topic topic) except -1:
        """The present leg has the topic in step no more. Whether another one still has."""
        return False

    cdef bint _has_another(self, Topic topic) except -1:
        """Whether a leg besides the present one has told anything by which the topic could go on."""
        return False

    cdef bint _lose(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        """The present leg has the topic in step no more. Whether the topic is in a gap now: no other leg has it."""
        if self._leave(topic):
            return False
        self._forget(topic)
        self._open_gap(topic, cause, fault, start_ns, detail, missing)
        return True

    cdef int _open_gap(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        cdef Hole hole
        if topic.gap is not None:
            return 0
        self._counts.gaps += 1
        hole = topic.hole()
        if hole is not None:
            hole.began(start_ns)
        self._counts.restarts += cause == "restart"
        topic.gap = Gap(
            id=self._position,
            category=self.category,
            topic=topic.name,
            cause=cause,
            fault=fault,
            leg=self._leg,
            start_ns=start_ns,
            end_ns=0,
            missing=missing,
            detail=detail,
            position=self._position,
        )
        return self._calls.gap(topic.gap)

    cdef int _close_gap(self, Topic topic) except -1:
        cdef Gap opened = topic.gap
        if opened is None:
            return 0
        topic.gap = None
        return self._calls.gap(
            Gap(
                id=opened.id,
                category=opened.category,
                topic=opened.topic,
                cause=opened.cause,
                fault=opened.fault,
                leg=opened.leg,
                start_ns=opened.start_ns,
                end_ns=max(self._recv_ns, opened.start_ns),  # the wall clock may have stepped back
                missing=opened.missing,
                detail=opened.detail,
                position=self._position,
            )
        )

    cdef int _note_gap(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        """A gap that is over: opened and closed at once."""
        self._open_gap(topic, cause, fault, start_ns, detail, missing)
        return self._close_gap(topic)

    # -- telling

    cdef int _event(self, str topic, str kind, str detail) except -1:
        event = Event(
            category=self.category,
            topic=topic,
            kind=kind,
            detail=detail,
            recv_ns=self._recv_ns,
            position=self._position,
            leg=self._leg,
        )
        return self._calls.event(event)

    cdef int _stamp(self, Item item, Topic topic, int64_t ts_ms, int index) except -1:
        """What every item of a message says of where it came from."""
        item.category = self.category
        if item.symbol is None:
            item.symbol = topic.symbol
        item.ts_ms = ts_ms
        item.recv_ns = self._recv_ns
        item.position = self._position
        item.leg = self._leg
        item.index = index
        return 0

    cdef int _ask_snapshot(self, Topic topic) except -1:
        if self._control is not None:
            self._control.on_desync(topic.name, self._leg, self._recv_ns)
        return 0

    cdef int _tell_sync(self, Topic topic) except -1:
        if self._control is not None:
            self._control.on_sync(topic.name, self._leg, self._recv_ns)
        return 0


cdef class Turn:
    """The time in which a dispatcher is busy with one call."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ledger._busy = False
