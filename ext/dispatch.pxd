from libc.stdint cimport int64_t, uint64_t

from ext.book cimport Fit, OrderBook
from ext.calls cimport Calls
from ext.decoder cimport Decoder
from ext.listener cimport Control, Listener, Trade
from ext.topics cimport Topic, TopicTable

cdef enum:
    LEGS_MAX = 16


cdef struct Counts:
    uint64_t frames
    uint64_t book_messages
    uint64_t trade_messages
    uint64_t ticker_messages
    uint64_t kline_messages
    uint64_t liquidation_messages
    uint64_t control_messages
    uint64_t malformed
    uint64_t duplicates
    uint64_t repeats
    uint64_t dropped_unsynced
    uint64_t undesired
    uint64_t gaps
    uint64_t absent_deletes
    uint64_t unknown_topics


cdef class Dispatcher:
    cdef:
        readonly str category
        readonly Listener listener
        Control _control
        dict _rules
        dict _scales
        int _forbidden
        Decoder _decoder
        TopicTable _topics
        Calls _calls
        Trade _trade
        Counts _counts
        bint _busy
        # Of the frame or call under way.
        int64_t _recv_ns
        int _leg
        uint64_t _position
        uint64_t _unrecorded
        int64_t[LEGS_MAX] _leg_recv_ns
        set _unknown_topics

    cdef int feed_raw(self, const char* frame, Py_ssize_t size, int64_t recv_ns, int leg, uint64_t position) except -1
    cpdef feed(self, frame, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef connected(self, int leg, int64_t recv_ns, uint64_t position=*)
    cpdef disconnected(self, int leg, int64_t recv_ns, uint64_t position=*, str cause=*, str detail=*)
    cpdef ended(self, int leg, int64_t recv_ns, uint64_t position=*)
    cpdef desired(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef confirmed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef removed(self, topics, int64_t recv_ns, int leg=*, uint64_t position=*)
    cpdef lost(
        self, topics, int64_t start_ns, int64_t recv_ns, str cause, str fault, int leg=*, uint64_t position=*, str detail=*
    )

    cdef int _begin(self, int64_t recv_ns, int leg, uint64_t position) except -1
    cdef Topic _topic(self)
    cdef Topic _named(self, str name)
    cdef int _dispatch(self, const char* frame, Py_ssize_t size) except -1
    cdef int _take_book(self) except -1
    cdef int _take_snapshot(self, Topic topic) except -1
    cdef bint _is_repeat(self, Topic topic) except -1
    cdef Fit _fit(self, Topic topic) except *
    cdef int _take_delta(self, Topic topic) except -1
    cdef int _apply(self, Topic topic) except -1
    cdef int _call_book(self, Topic topic) except -1
    cdef int _break(self, Topic topic, str cause, str detail, int64_t missing=*) except -1
    cdef int _take_trades(self) except -1
    cdef int _take_ticker(self) except -1
    cdef int _take_klines(self) except -1
    cdef int _take_liquidations(self) except -1
    cdef OrderBook _new_book(self, str symbol, int depth)
    cdef int _take_malformed(self, str detail) except -1
    cdef int _forget(self, Topic topic) except -1
    cdef int _open_gap(self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=*) except -1
    cdef int _close_gap(self, Topic topic) except -1
    cdef int _event(self, str topic, str kind, str detail) except -1
