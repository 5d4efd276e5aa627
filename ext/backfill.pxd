from libc.stdint cimport int64_t, uint64_t

from ext.decoded cimport TradeFields

cpdef enum BackfillLimit:
    TRADE_IDS_MAX = 1024        # remembered a topic: more than one answer of REST holds
    BACKFILL_TRADES_MAX = 1000  # taken of one answer
    CLOSED_CANDLES_MAX = 1024   # remembered a topic


cdef inline bint is_hole(Hole hole) noexcept:
    return hole is not None and hole.from_ms >= 0


cdef class Hole:
    # What a backfill may fill, in the venue's time, ms; -1: no hole, or nothing came since.
    cdef:
        int64_t from_ms
        int64_t until_ms

    cdef int64_t last_ms(self) except? -1
    cdef int began(self, int64_t start_ns) except -1
    cdef int filled(self) except -1


cdef class TradeMemory(Hole):
    cdef:
        uint64_t[TRADE_IDS_MAX] _ids
        uint64_t _noted
        int64_t _last_ms
        set ahead               # ids that a backfill brought and that may yet come live, or None
        int64_t _ahead_until_ms

    cdef void note(self, const TradeFields* trades, Py_ssize_t count) noexcept nogil
    cdef Py_ssize_t drop_known(self, TradeFields* trades, list symbols, Py_ssize_t count) except -1
    cdef Py_ssize_t take_missing(self, TradeFields* trades, list symbols, Py_ssize_t count) except -1
    cdef bint reaches_back(self, const TradeFields* trades, Py_ssize_t count) except -1
    cdef set _known(self)


cdef class KlineMemory(Hole):
    cdef:
        object _closed
        int64_t _last_ms

    cdef int note(self, list klines) except -1
    cdef bint wants(self, int64_t start_ms, int64_t end_ms) except -1
