"""Dispatcher: frames of one category in, listener calls out. The rules are docs/design.md's tables.

Nothing here depends on time: deadlines live with the session and reach a dispatcher as calls (`disconnected`,
`confirmed`, `lost`, ...), so that the same calls in the same order always give the same books, gaps and callbacks.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ext.book cimport (
    CROSSED,
    FIT_OVERFLOW,
    FIT_WIDENED,
    LOCKED,
    NEGATIVE_PRICE,
    TOO_DEEP,
    BookState,
    Fit,
    OrderBook,
)
from ext.change cimport BookChange
from ext.decoded cimport (
    BOOK,
    CONTROL,
    KLINE,
    LIQUIDATIONS,
    MALFORMED,
    TICKER,
    TRADES,
    FrameKind,
    TradeFields,
)
from ext.decoder cimport Decoder
from ext.listener cimport Control, Event, Gap, Kline, Liquidation, Listener, Ticker, Trade
from ext.calls cimport Calls
from ext.topics cimport TOPIC_BOOK, TOPIC_STREAM, TOPIC_TICKER, Topic, TopicTable
from ext.updates cimport read_kline, read_liquidation

cdef enum:
    TOPICS_MAX = 65_536         # topics kept; frames of further ones are counted as unknown
    UNKNOWN_TOPICS_MAX = 1000   # names remembered, so that each is an event once
    DETAIL_CHARACTERS_MAX = 300

# What a book of each category can never be. Options and spreads may be crossed or locked; spreads may be negative.
cdef dict _IMPOSSIBLE = {
    "spot": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "linear": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "inverse": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "option": TOO_DEEP | NEGATIVE_PRICE,
    "spread": TOO_DEEP,
}

cdef dict _FAULTS = {
    "sequence": "venue",
    "snapshot": "venue",
    "restart": "venue",
    "integrity": "venue",
    "malformed": "venue",
}


cdef str _describe_violations(int violations):
    names = ((CROSSED, "crossed"), (LOCKED, "locked"), (TOO_DEEP, "more levels than its depth"), (NEGATIVE_PRICE, "negative price"))
    return ", ".join([name for bit, name in names if violations & bit])


cdef class Dispatcher:
    """Decodes frames of one category, keeps its books, checks continuity and calls a Listener.

    Args:
        category: "spot", "linear", "inverse", "option" or "spread": the path the frames came by. Frames do not say it.
        listener: whose callbacks are called, on the feeding thread.
        control: told of control messages and of books that need a snapshot; optional.
        rules: depth -> "strict" or "warn" (see docs/design.md, Continuity); strict where absent.

    Not for use from two threads at once. Feeding a dispatcher, or telling it a decision, from inside its own callback
    raises RuntimeError.
    """

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
        self._decoder = Decoder()
        self._topics = TopicTable()
        self._trade = Trade()
        self._trade.category = category
        self._calls = Calls(listener)
        self._unknown_topics = set()

    # -- frames

    cpdef feed(self, frame, int64_t recv_ns, int leg=0, uint64_t position=0):
        """Take one frame (bytes or any contiguous buffer) received at `recv_ns` (wall clock ns) on a leg.

        Never raises on bad market data: that is counted, an event, and where a book is concerned a gap. `position` is
        the frame's place in the spool, 0 where nothing is recorded.
        """
        cdef Py_buffer view
        if type(frame) is bytes:
            self.feed_raw(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), recv_ns, leg, position)
            return
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        try:
            self.feed_raw(<const char*>view.buf, view.len, recv_ns, leg, position)
        finally:
            PyBuffer_Release(&view)

    cdef int feed_raw(self, const char* frame, Py_ssize_t size, int64_t recv_ns, int leg, uint64_t position) except -1:
        self._begin(recv_ns, leg, position)
        try:
            self._counts.frames += 1
            self._leg_recv_ns[leg] = recv_ns
            self._dispatch(frame, size)
        finally:
            self._busy = False
        return 0

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

    cdef int _dispatch(self, const char* frame, Py_ssize_t size) except -1:
        cdef FrameKind kind = self._decoder.decode(frame, size)
        if kind == BOOK:
            return self._take_book()
        if kind == TRADES:
            return self._take_trades()
        if kind == CONTROL:
            self._counts.control_messages += 1
            if self._control is not None:
                self._control.on_message(self._decoder.message, self._leg, self._recv_ns)
            return 0
        if kind == MALFORMED:
            return self._take_malformed(self._decoder.refusal)
        if kind == TICKER:
            return self._take_ticker()
        if kind == KLINE:
            return self._take_klines()
        if kind == LIQUIDATIONS:
            return self._take_liquidations()
        self._counts.unknown_topics += 1
        name = self._decoder.message["topic"][:DETAIL_CHARACTERS_MAX]
        if name not in self._unknown_topics and len(self._unknown_topics) < UNKNOWN_TOPICS_MAX:
            self._unknown_topics.add(name)
            self._event(name, "unknown_topic", "no decoder for this kind of topic; its frames are kept in the spool only")
        return 0

    # -- books

    cdef int _take_book(self) except -1:
        cdef Topic topic = self._topic()
        if topic is None:
            return 0
        self._counts.book_messages += 1
        if self._decoder.change.is_snapshot:
            return self._take_snapshot(topic)
        if topic.book.state != BookState.LIVE:
            self._counts.dropped_unsynced += 1
            return 0
        return self._take_delta(topic)

    cdef int _take_snapshot(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            str hole = None
            str detail = ""
            int64_t missing = -1

        if book.state == BookState.LIVE:
            if change.update_id == book.update_id and book.depth == 1 and self._is_repeat(topic):
                self._counts.repeats += 1
                topic.last_recv_ns = self._recv_ns
                return 0
            if change.update_id == 1:
                hole = "restart"
            elif 0 < change.seq < book.seq:
                hole = "sequence"
                detail = f"seq fell from {book.seq} to {change.seq}"
            elif book.depth == 1:
                if change.update_id <= book.update_id:
                    hole = "sequence"
            elif change.update_id != book.update_id + 1:
                hole = "snapshot"
                missing = max(change.update_id - book.update_id - 1, -1)
        if hole is not None:
            if not detail:
                detail = f"u went from {book.update_id} to {change.update_id}"
            self._open_gap(topic, hole, _FAULTS[hole], topic.last_recv_ns, detail, missing)
            self._close_gap(topic)
        return self._apply(topic)

    cdef bint _is_repeat(self, Topic topic) except -1:
        """Whether a level-1 snapshot says what the book says: the same number of levels, all of them there."""
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            bint is_repeat = False

        if (change.bid_levels.count, change.ask_levels.count) == book.level_counts() and not change.deletes():
            # Compared as a delta is: the levels that are there must keep their values.
            change.is_snapshot = False
            is_repeat = self._fit(topic) != FIT_OVERFLOW and book.contains(change)
            change.is_snapshot = True
        return is_repeat

    cdef Fit _fit(self, Topic topic) except *:
        """Bring the book and the decoded change to common scales; wider ones are an event."""
        cdef:
            OrderBook book = topic.book
            Fit fit = book.fit(self._decoder.change)

        if fit == FIT_WIDENED and book.state != BookState.EMPTY:
            self._event(
                topic.name, "scale_widened", f"price_scale {book.price_scale}, size_scale {book.size_scale} decimals"
            )
        return fit

    cdef int _take_delta(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change

        if change.update_id == book.update_id + 1 and (change.seq >= book.seq or change.seq == 0):
            return self._apply(topic)
        if change.update_id == 1:
            return self._break(topic, "restart", f"delta with u=1 after u={book.update_id}")
        if 0 < change.seq < book.seq:
            return self._break(topic, "sequence", f"seq fell from {book.seq} to {change.seq}")
        if change.update_id == book.update_id:
            if self._fit(topic) != FIT_OVERFLOW and book.contains(change):
                self._counts.duplicates += 1
                topic.last_recv_ns = self._recv_ns
                return 0
            return self._break(topic, "sequence", f"u={change.update_id} came twice with different content")
        detail = f"u went from {book.update_id} to {change.update_id}"
        if change.update_id < book.update_id:
            return self._break(topic, "sequence", detail)
        if topic.is_strict:
            return self._break(topic, "sequence", detail, change.update_id - book.update_id - 1)
        self._open_gap(
            topic, "sequence", "venue", topic.last_recv_ns, detail, change.update_id - book.update_id - 1
        )
        self._close_gap(topic)
        return self._apply(topic)

    cdef int _apply(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            uint64_t absent_deletes = book.absent_deletes
            int violations
            bint was_live = book.state == BookState.LIVE

        if self._fit(topic) == FIT_OVERFLOW:
            return self._break(topic, "integrity", "a number needs more than 18 digits at the scale of the book")
        book.apply(change)
        self._counts.absent_deletes += book.absent_deletes - absent_deletes
        violations = book.violations() & self._forbidden
        if violations:
            return self._break(topic, "integrity", _describe_violations(violations))
        book.recv_ns = topic.last_recv_ns = self._recv_ns
        book.position = self._position
        book.leg = self._leg
        book.state = BookState.LIVE
        if change.is_snapshot:
            if topic.gap is not None:
                self._close_gap(topic)
            # Level 1 is nothing but snapshots: only the one that was waited for is worth a Python call.
            if self._control is not None and not was_live:
                self._control.on_sync(topic.name, self._leg, self._recv_ns)
        return self._call_book(topic)

    cdef int _call_book(self, Topic topic) except -1:
        cdef OrderBook book = topic.book
        book.change = self._decoder.change
        self._calls.book(book)
        if topic.is_new_bbo():
            self._calls.bbo(book)
        return 0

    cdef int _break(self, Topic topic, str cause, str detail, int64_t missing=-1) except -1:
        """The book cannot be trusted from here on: STALE, a gap, and a call for a new snapshot."""
        cdef OrderBook book = topic.book
        cdef int64_t start_ns = topic.last_recv_ns if book.state == BookState.LIVE else self._recv_ns
        self._forget(topic)
        self._open_gap(topic, cause, _FAULTS[cause], start_ns, detail, missing)
        if self._control is not None:
            self._control.on_desync(topic.name, self._leg, self._recv_ns)
        return 0

    # -- other topics

    cdef int _take_trades(self) except -1:
        cdef:
            Topic topic = self._topic()
            Decoder decoder = self._decoder
            Trade trade = self._trade
            list symbols = decoder.symbols
            Py_ssize_t count = decoder.trade_count
            int64_t ts_ms = decoder.ts_ms
            TradeFields* fields
            Py_ssize_t index

        if topic is None:
            return 0
        self._counts.trade_messages += 1
        self._close_gap(topic)
        topic.last_recv_ns = self._recv_ns
        for index in range(count):
            fields = &decoder.trades[index]
            trade.symbol = topic.symbol if symbols is None else <str>symbols[index]
            trade.price_mantissa = fields.price
            trade.price_scale = fields.price_scale
            trade.size_mantissa = fields.size
            trade.size_scale = fields.size_scale
            trade.is_buy = fields.is_buy
            trade.is_block = fields.is_block
            trade.is_rpi = fields.is_rpi
            trade.time_ms = fields.time_ms
            trade.ts_ms = ts_ms
            trade.seq = fields.seq
            trade.recv_ns = self._recv_ns
            trade.position = self._position
            trade.leg = self._leg
            trade.index = <int>index
            memcpy(trade._trade_id, fields.trade_id, fields.trade_id_size)
            trade._trade_id_size = fields.trade_id_size
            trade._tick_direction = fields.tick_direction
            self._calls.trade(trade)
        return 0

    cdef int _take_ticker(self) except -1:
        cdef:
            Topic topic = self._topic()
            Decoder decoder = self._decoder
            Ticker ticker

        if topic is None:
            return 0
        self._counts.ticker_messages += 1
        if not decoder.is_snapshot and topic.fields is None:
            self._counts.dropped_unsynced += 1
            return 0
        topic.last_recv_ns = self._recv_ns
        if decoder.is_snapshot:
            was_synced = topic.fields is not None
            topic.fields = dict(decoder.data)
            self._close_gap(topic)
            if self._control is not None and not was_synced:
                self._control.on_sync(topic.name, self._leg, self._recv_ns)
        else:
            topic.fields = {**topic.fields, **decoder.data}
        ticker = Ticker()
        ticker.category = self.category
        ticker.symbol = topic.symbol
        ticker.is_snapshot = decoder.is_snapshot
        ticker.ts_ms = decoder.ts_ms
        ticker.seq = decoder.seq
        ticker.recv_ns = self._recv_ns
        ticker.position = self._position
        ticker.leg = self._leg
        ticker.fields = dict(topic.fields)
        ticker.changed = decoder.data
        self._calls.ticker(ticker)
        return 0

    cdef int _take_klines(self) except -1:
        cdef Topic topic = self._topic()
        cdef Kline kline
        if topic is None:
            return 0
        try:
            klines = [read_kline(self.category, topic, index, fields) for index, fields in enumerate(self._decoder.data)]
        except (KeyError, TypeError, ValueError) as error:
            return self._take_malformed(f"kline: {error!r}")
        self._counts.kline_messages += 1
        self._close_gap(topic)
        topic.last_recv_ns = self._recv_ns
        for kline in klines:
            kline.ts_ms = self._decoder.ts_ms
            kline.recv_ns = self._recv_ns
            kline.position = self._position
            kline.leg = self._leg
            self._calls.kline(kline)
        return 0

    cdef int _take_liquidations(self) except -1:
        cdef Topic topic = self._topic()
        cdef Liquidation liquidation
        if topic is None:
            return 0
        try:
            liquidations = [
                read_liquidation(self.category, topic, index, fields) for index, fields in enumerate(self._decoder.data)
            ]
        except (KeyError, TypeError, ValueError) as error:
            return self._take_malformed(f"liquidation: {error!r}")
        self._counts.liquidation_messages += 1
        self._close_gap(topic)
        topic.last_recv_ns = self._recv_ns
        for liquidation in liquidations:
            liquidation.ts_ms = self._decoder.ts_ms
            liquidation.recv_ns = self._recv_ns
            liquidation.position = self._position
            liquidation.leg = self._leg
            self._calls.liquidation(liquidation)
        return 0

    cdef int _take_malformed(self, str detail) except -1:
        cdef Topic topic = None
        cdef str name = ""
        self._counts.malformed += 1
        if self._decoder.topic != NULL:
            name = self._decoder.topic[:self._decoder.topic_size].decode()
            topic = self._topics.find(self._decoder.topic, self._decoder.topic_size)
        self._event(name, "malformed", detail[:DETAIL_CHARACTERS_MAX])
        if topic is None or topic.removed:
            return 0
        if topic.kind == TOPIC_BOOK:
            if topic.book.state != BookState.STALE:
                self._break(topic, "malformed", detail[:DETAIL_CHARACTERS_MAX])
        elif topic.kind == TOPIC_TICKER:
            self._forget(topic)
            self._open_gap(topic, "malformed", "venue", self._recv_ns, detail[:DETAIL_CHARACTERS_MAX])
            if self._control is not None:
                self._control.on_desync(topic.name, self._leg, self._recv_ns)
        else:
            self._open_gap(topic, "malformed", "venue", self._recv_ns, detail[:DETAIL_CHARACTERS_MAX])
            self._close_gap(topic)
        return 0

    # -- decisions

    cpdef connected(self, int leg, int64_t recv_ns, uint64_t position=0):
        """A connection of this category opened."""
        self._begin(recv_ns, leg, position)
        try:
            self._event("", "connected", "")
        finally:
            self._busy = False

    cpdef disconnected(self, int leg, int64_t recv_ns, uint64_t position=0, str cause="disconnect", str detail=""):
        """The connection of a leg is gone: its books turn STALE, a gap opens for each of its topics.

        The gaps start at the last frame of that leg: what came after it is not known.
        """
        cdef Topic topic
        cdef int64_t start_ns
        self._begin(recv_ns, leg, position)
        try:
            start_ns = self._leg_recv_ns[leg] or recv_ns
            for topic in self._topics.by_name.values():
                if topic.leg == leg and not topic.removed:
                    self._forget(topic)
                    self._open_gap(topic, cause, "network", start_ns, detail)
            self._event("", "disconnected", detail)
        finally:
            self._busy = False

    cpdef ended(self, int leg, int64_t recv_ns, uint64_t position=0):
        """The connection of a leg was closed on purpose: its books turn STALE, no gap opens.

        Nothing was lost until now; what is missing from now on, the next start tells by `lost`.
        """
        cdef Topic topic
        self._begin(recv_ns, leg, position)
        try:
            for topic in self._topics.by_name.values():
                if topic.leg == leg and not topic.removed:
                    self._forget(topic)
            self._event("", "closed", "ended on purpose")
        finally:
            self._busy = False

    cpdef desired(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """These topics are wanted on a leg from now on."""
        cdef Topic topic
        self._begin(recv_ns, leg, position)
        try:
            for name in topics:
                topic = self._named(name)
                topic.removed = False
                topic.leg = leg
        finally:
            self._busy = False

    cpdef confirmed(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """The venue confirmed these subscriptions. Ends the gap of a topic that sends no snapshot."""
        cdef Topic topic
        self._begin(recv_ns, leg, position)
        try:
            for name in topics:
                topic = self._named(name)
                if topic.kind == TOPIC_STREAM:
                    self._close_gap(topic)
                self._event(name, "confirmed", "")
        finally:
            self._busy = False

    cpdef removed(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """These topics are not wanted any more: an open gap ends, later frames of theirs are dropped and counted."""
        cdef Topic topic
        self._begin(recv_ns, leg, position)
        try:
            for name in topics:
                topic = self._named(name)
                self._close_gap(topic)
                self._forget(topic)
                topic.removed = True
                if topic.kind == TOPIC_BOOK:
                    topic.book = self._new_book(topic.symbol, topic.book.depth)
                self._event(name, "removed", "")
        finally:
            self._busy = False

    cpdef lost(
        self, topics, int64_t start_ns, int64_t recv_ns, str cause, str fault, int leg=0, uint64_t position=0, str detail=""
    ):
        """Data of these topics is missing from `start_ns` on: books turn STALE and a gap of the given cause opens.

        `topics` None: of all that are wanted. Those that are not wanted any more lose nothing.
        """
        cdef Topic topic
        self._begin(recv_ns, leg, position)
        try:
            if topics is None:
                topics = [topic.name for topic in self._topics.by_name.values() if not topic.removed]
            for name in topics:
                topic = self._named(name)
                if not topic.removed:
                    self._forget(topic)
                    self._open_gap(topic, cause, fault, start_ns, detail)
        finally:
            self._busy = False

    def scales(self, str symbol, int price_scale, int size_scale):
        """Decimals of a symbol's prices and sizes, from its instrument: books created from now on start with them."""
        for name, scale in (("price_scale", price_scale), ("size_scale", size_scale)):
            if not 0 <= scale <= 18:
                raise ValueError(f"{name} of {symbol} must be 0 to 18 decimals, was {scale}")
        self._scales[symbol] = (price_scale, size_scale)

    # -- reading

    def book(self, str symbol, int depth):
        """The OrderBook of a symbol and depth, live and reused; None where that topic was never seen or asked for."""
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

    def last_recv_ns(self, str topic):
        """When the last good frame of a topic came (wall clock ns); 0 where none has."""
        cdef Topic known = self._topics.by_name.get(topic)
        return 0 if known is None else known.last_recv_ns

    @property
    def counters(self):
        """Counts since creation, by name."""
        counts = dict(self._counts)
        counts["fallback"] = self._decoder.fallbacks
        counts["callback_failures"] = self._calls.failures
        return counts

    # -- topics, gaps, calls

    cdef Topic _topic(self):
        """The topic of the decoded frame, created at first sight; None where it is not wanted any more."""
        cdef Topic topic = self._topics.find(self._decoder.topic, self._decoder.topic_size)
        if topic is None:
            if len(self._topics.by_name) >= TOPICS_MAX:
                self._counts.unknown_topics += 1
                return None
            topic = self._named(self._decoder.topic[:self._decoder.topic_size].decode())
            topic.leg = self._leg
        if topic.removed:
            self._counts.undesired += 1
            return None
        return topic

    cdef Topic _named(self, str name):
        cdef Topic topic = self._topics.by_name.get(name)
        if topic is not None:
            return topic
        kind, _, rest = name.partition(".")
        if kind == "orderbook" and rest.partition(".")[0].isdecimal():
            depth, _, symbol = rest.partition(".")
            topic = Topic(name, symbol)
            topic.kind = TOPIC_BOOK
            topic.is_strict = self._rules.get(int(depth), "strict") == "strict"
            topic.book = self._new_book(symbol, int(depth))
            topic.bbo_price_scale = -1
        elif kind == "kline":
            interval, _, symbol = rest.partition(".")
            topic = Topic(name, symbol, interval)
        else:
            topic = Topic(name, rest)
            if kind == "tickers":
                topic.kind = TOPIC_TICKER
        self._topics.add(topic)
        return topic

    cdef OrderBook _new_book(self, str symbol, int depth):
        price_scale, size_scale = self._scales.get(symbol, (0, 0))
        return OrderBook(self.category, symbol, depth, price_scale, size_scale)

    cdef int _forget(self, Topic topic) except -1:
        """What is known of the topic's state is not to be trusted any more."""
        topic.fields = None
        topic.bbo_price_scale = -1
        if topic.kind == TOPIC_BOOK:
            topic.book.state = BookState.STALE
        return 0

    cdef int _open_gap(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        if topic.gap is not None:
            return 0
        self._counts.gaps += 1
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
        self._calls.event(event)
        return 0
