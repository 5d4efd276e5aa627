"""What trades and candles were seen around a gap: which of a REST answer are missing, and which came twice.

Times are the venue's own, of the items: the wall clock of a machine says little about which trade was missed.
"""

from collections import deque

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ext.decoded cimport TradeFields
from ext.listener cimport Kline

cdef enum:
    NS_PER_MS = 1_000_000


cdef inline uint64_t _digest(const TradeFields* trade) noexcept nogil:
    """Of a trade's id, by both ends and the middle: ids that are counted differ in the last, random ones in all three."""
    cdef:
        Py_ssize_t size = trade.trade_id_size
        uint64_t head = 0
        uint64_t middle = 0
        uint64_t tail = 0
        uint64_t value

    if size >= 8:
        memcpy(&head, trade.trade_id, 8)
        memcpy(&middle, trade.trade_id + (size >> 1) - 4, 8)
        memcpy(&tail, trade.trade_id + size - 8, 8)
    else:
        memcpy(&tail, trade.trade_id, size)
    value = head * 0x9E3779B97F4A7C15ULL ^ middle * 0xBF58476D1CE4E5B9ULL ^ tail * 0x94D049BB133111EBULL
    return (value ^ (value >> 32)) + <uint64_t>size


cdef class Hole:
    """The part of a topic that was missed and that no answer has filled yet."""

    def __cinit__(self):
        self.from_ms = self.until_ms = -1

    cdef int64_t last_ms(self) except? -1:
        return 0

    cdef int began(self, int64_t start_ns) except -1:
        """Data is missing from here on; a hole that is open already only grows."""
        if self.from_ms < 0:
            self.from_ms = self.last_ms() or start_ns // NS_PER_MS
        self.until_ms = -1
        return 0

    cdef int filled(self) except -1:
        self.from_ms = self.until_ms = -1
        return 0


cdef class TradeMemory(Hole):
    """The ids of the latest trades of a topic."""

    cdef int64_t last_ms(self) except? -1:
        return self._last_ms

    cdef void note(self, const TradeFields* trades, Py_ssize_t count) noexcept nogil:
        """These trades were delivered."""
        cdef Py_ssize_t index
        for index in range(count):
            self._ids[self._noted % TRADE_IDS_MAX] = _digest(&trades[index])
            self._noted += 1
        if count:
            self._last_ms = trades[count - 1].time_ms
            if self.from_ms >= 0 and self.until_ms < 0:
                self.until_ms = trades[0].time_ms

    cdef Py_ssize_t drop_known(self, TradeFields* trades, list symbols, Py_ssize_t count) except -1:
        """Leave those out that a backfill brought already; how many are left, in order."""
        cdef Py_ssize_t index
        cdef Py_ssize_t kept = 0
        for index in range(count):
            if _digest(&trades[index]) not in self.ahead:
                _move(trades, symbols, index, kept)
                kept += 1
        if count and trades[0].time_ms > self._ahead_until_ms:
            self.ahead = None
        return kept

    cdef Py_ssize_t take_missing(self, TradeFields* trades, list symbols, Py_ssize_t count) except -1:
        """Of an answer's trades, oldest first, leave those that lie in the hole and were not seen; how many those are."""
        cdef set known = self._known()
        cdef Py_ssize_t index
        cdef Py_ssize_t kept = 0
        cdef bint is_open = self.until_ms < 0
        cdef set taken = set()
        for index in range(count):
            digest = _digest(&trades[index])
            if trades[index].time_ms < self.from_ms or digest in known:
                continue
            if is_open or trades[index].time_ms <= self.until_ms:
                known.add(digest)
                taken.add(digest)
                _move(trades, symbols, index, kept)
                kept += 1
        if kept:
            # The answer may be ahead of the stream, be it within one millisecond.
            self.ahead = taken
            self._ahead_until_ms = trades[kept - 1].time_ms
        for index in range(kept):
            self._ids[self._noted % TRADE_IDS_MAX] = _digest(&trades[index])
            self._noted += 1
        return kept

    cdef bint reaches_back(self, const TradeFields* trades, Py_ssize_t count) except -1:
        """Whether an answer, oldest first, begins before the hole does."""
        if count == 0 or trades[0].time_ms > self.from_ms:
            return False
        # Of one moment there may be several trades; those that came after the gap are known too, but later.
        return trades[0].time_ms < self.from_ms or _digest(&trades[0]) in self._known()

    cdef set _known(self):
        cdef uint64_t index
        return {self._ids[index] for index in range(min(self._noted, <uint64_t>TRADE_IDS_MAX))}


cdef int _move(TradeFields* trades, list symbols, Py_ssize_t source, Py_ssize_t target) except -1:
    if source != target:
        trades[target] = trades[source]
        if symbols is not None:
            symbols[target] = symbols[source]
    return 0


cdef class KlineMemory(Hole):
    """The starts of the latest closed candles of a topic."""

    def __cinit__(self):
        self._closed = deque(maxlen=CLOSED_CANDLES_MAX)

    cdef int64_t last_ms(self) except? -1:
        return self._last_ms

    cdef int note(self, list klines) except -1:
        """These candles were delivered."""
        cdef Kline kline
        for kline in klines:
            if kline.is_closed:
                self._closed.append(kline.start_ms)
            self._last_ms = kline.start_ms
            if self.from_ms >= 0 and self.until_ms < 0 and not kline.is_backfill:
                self.until_ms = kline.start_ms
        return 0

    cdef bint wants(self, int64_t start_ms, int64_t end_ms) except -1:
        """Whether a closed candle lies in the hole and was not seen closed."""
        if end_ms < self.from_ms or (0 <= self.until_ms <= start_ms):
            return False
        return start_ms not in self._closed
