"""Dispatcher: frames of one category in, listener calls out.

Nothing here depends on time: deadlines live with the session and reach a dispatcher as calls (`disconnected`,
`confirmed`, `lost`, ...), so that the same calls in the same order always give the same books, gaps and callbacks.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint64_t

from ext.answered cimport Answered
from ext.book cimport BookState
from ext.decoded cimport (
    BOOK,
    BOOK_FULL,
    BOOK_RPI,
    CONTROL,
    KLINE,
    LIQUIDATIONS,
    MALFORMED,
    NOTICES,
    TICKER,
    TRADES,
    FrameKind,
)
from ext.decoder cimport Decoder
from ext.ledger cimport DETAIL_CHARACTERS_MAX
from ext.listener cimport Control, Listener, Notice, Ticker
from ext.topics cimport TOPIC_BOOK, TOPIC_TICKER, Topic
from ext.updates cimport content_of, read_items

cdef enum:
    UNKNOWN_TOPICS_MAX = 1000   # names remembered, so that each is an event once


cdef class Dispatcher(Answered):
    """Decodes frames of one category, keeps its books, checks continuity and calls a Listener.

    Args:
        category: "spot", "linear", "inverse", "option", "spread" or "status": the path the frames came by. Frames do not
            say it.
        listener: whose callbacks are called, on the feeding thread.
        control: told of control messages and of books that need a snapshot; optional.
        rules: depth -> "strict" or "warn" (see docs/design.md, Continuity); strict where absent.

    Not for use from two threads at once. Feeding a dispatcher, or telling it a decision, from inside its own callback
    raises RuntimeError.
    """

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        Answered.__init__(self, category, listener, control=control, rules=rules)
        self._unknown_topics = set()

    @property
    def counters(self):
        """Counts since creation, by name."""
        return {**Answered.counters.__get__(self), "fallback": self._decoder.fallbacks}

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
            self._frame = frame
            self._frame_size = size
            self._dispatch(frame, size)
        finally:
            self._busy = False
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
        if kind == BOOK_RPI:
            return self._take_book()
        if kind == BOOK_FULL:
            return self._take_full(frame, size)
        if kind == KLINE or kind == LIQUIDATIONS or kind == NOTICES:
            return self._take_items(kind)
        self._counts.unknown_topics += 1
        name = self._decoder.message["topic"][:DETAIL_CHARACTERS_MAX]
        if name not in self._unknown_topics and len(self._unknown_topics) < UNKNOWN_TOPICS_MAX:
            self._unknown_topics.add(name)
            self._event(name, "unknown_topic", "no decoder for this kind of topic; its frames are kept in the spool only")
        return 0

    # -- topics that are no books

    cdef int _take_trades(self) except -1:
        cdef Topic topic = self._topic()
        cdef Decoder decoder = self._decoder
        cdef Py_ssize_t count = decoder.trade_count
        if topic is None:
            return 0
        self._counts.trade_messages += 1
        self._close_gap(topic)
        topic.heard(self._recv_ns)
        if topic.shared is not None:
            count = decoder.trade_count = self._drop_late(topic, count)
        if topic.trades.ahead is not None:
            count = topic.trades.drop_known(decoder.trades, decoder.symbols, count)
            self._counts.backfill_repeats += decoder.trade_count - count
        topic.trades.note(decoder.trades, count)
        return self._deliver_trades(topic, count)

    cdef int _take_ticker(self) except -1:
        cdef:
            Topic topic = self._topic()
            Decoder decoder = self._decoder
            Ticker ticker

        if topic is None:
            return 0
        self._counts.ticker_messages += 1
        if topic.shared is not None and not self._leads_ticker(topic):
            return 0
        if not decoder.is_snapshot and topic.fields is None:
            self._counts.dropped_unsynced += 1
            return 0
        topic.last_recv_ns = self._recv_ns
        if decoder.is_snapshot:
            was_synced = topic.fields is not None
            topic.fields = dict(decoder.data)
            self._close_gap(topic)
            if not was_synced:
                self._tell_sync(topic)
        else:
            topic.fields = {**topic.fields, **decoder.data}
        ticker = Ticker()
        self._stamp(ticker, topic, decoder.ts_ms, 0)
        ticker.is_snapshot = decoder.is_snapshot
        ticker.seq = decoder.seq
        ticker.fields = dict(topic.fields)
        ticker.changed = decoder.data
        self._calls.item(ticker)
        return 0

    cdef int _take_items(self, FrameKind kind) except -1:
        cdef:
            Topic topic = self._topic()
            list items

        if topic is None:
            return 0
        try:
            items = read_items(kind, topic, self._decoder.data)
        except (KeyError, TypeError, ValueError) as error:
            return self._take_malformed(f"{topic.name.partition('.')[0]}: {error!r}")
        if topic.shared is not None and not self._leads(topic, content_of(kind, items, self._decoder.data)):
            return 0
        self._close_gap(topic)
        topic.heard(self._recv_ns)
        if kind == KLINE:
            self._counts.kline_messages += 1
            topic.klines.note(items)
        elif kind == LIQUIDATIONS:
            self._counts.liquidation_messages += 1
        else:
            self._counts.notice_messages += 1
            for notice in items:
                (<Notice>notice).is_snapshot = self._decoder.is_snapshot
        return self._deliver_items(topic, items, self._decoder.ts_ms)

    cdef int _take_malformed(self, str detail) except -1:
        cdef Topic topic = None
        cdef str name = ""
        self._counts.malformed += 1
        if self._decoder.topic != NULL:
            name = self._decoder.topic[:self._decoder.topic_size].decode()[:DETAIL_CHARACTERS_MAX]
            topic = self._topics.find(self._decoder.topic, self._decoder.topic_size)
        self._event(name, "malformed", detail[:DETAIL_CHARACTERS_MAX])
        if topic is None or topic.removed or (topic.is_decided and self._leg not in topic.legs):
            return 0
        if topic.kind == TOPIC_BOOK:
            if topic.book.state != BookState.STALE:
                self._break(topic, "malformed", detail[:DETAIL_CHARACTERS_MAX])
        elif topic.kind == TOPIC_TICKER:
            self._lose(topic, "malformed", "venue", self._recv_ns, detail[:DETAIL_CHARACTERS_MAX])
            self._ask_snapshot(topic)
        elif self._is_missed(topic):
            self._note_gap(topic, "malformed", "venue", self._recv_ns, detail[:DETAIL_CHARACTERS_MAX])
        return 0
