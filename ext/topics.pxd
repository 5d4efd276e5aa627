from libc.stdint cimport int64_t, uint64_t

from ext.audit cimport Audit
from ext.backfill cimport Hole, KlineMemory, TradeMemory
from ext.book cimport OrderBook
from ext.carriers cimport Carriers
from ext.listener cimport Gap
from ext.splice cimport Splice


cdef enum TopicKind:
    TOPIC_BOOK = 0
    TOPIC_TICKER = 1
    TOPIC_STREAM = 2   # trades, klines, liquidations: nothing to lose but what passes by


cdef enum:
    LEG_NONE = -1


cdef class Topic:
    cdef:
        readonly str name
        readonly str symbol
        readonly str interval
        TopicKind kind
        OrderBook book
        dict fields          # merged ticker fields, None until a snapshot
        Gap gap              # the open one, or None
        # The legs that carry it, in the order told; `leg` is the only one, LEG_NONE where there is none or several.
        list legs
        int leg
        Carriers shared      # what is known of its legs while there are several, else None
        bint is_decided      # a decision put it on its legs: frames of others are not wanted
        bint removed
        bint is_strict
        int64_t wanted_ns    # since when a leg is to carry it; 0 where nobody decided so
        int64_t first_recv_ns   # of a stream: its first message; other topics begin with what their session is told
        int64_t last_recv_ns
        bint is_heard        # a stream: confirmed, or had data, since it was wanted or lost
        int forbidden        # Violation bits that its book can never have
        # What few books need besides, each None elsewhere; `has_more`: one of them is not.
        bint has_more
        list peers           # topics of the symbol whose best prices are this book's at an equal seq
        Splice splice        # of an orderbook.full
        Audit audit
        OrderBook shadow     # after a forward jump: the book as if nothing had been missing
        TradeMemory trades
        KlineMemory klines
        # Best levels at the last on_bbo: bid price, bid size, ask price, ask size, at the scales of then.
        int64_t[4] bbo
        int bbo_price_scale
        int bbo_size_scale
        bytes _key

    cdef Hole hole(self)
    cdef int heard(self, int64_t recv_ns) except -1
    cdef int tell_more(self) except -1
    cdef int join(self, int leg) except -1
    cdef int part(self, int leg) except -1
    cdef bint is_new_bbo(self) noexcept


cdef struct Slot:
    uint64_t hash
    const char* key
    Py_ssize_t size
    void* topic


cdef class TopicTable:
    cdef:
        dict by_name
        Slot* _slots
        size_t _mask

    cdef Topic find(self, const char* name, Py_ssize_t size)
    cdef int add(self, Topic topic) except -1
    cdef int _grow(self) except -1
