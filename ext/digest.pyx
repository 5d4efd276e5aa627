"""64-bit digests by which two connections' copies of the same message are known to be equal.

A message's digest is over the values of its levels and a `seq`: independent of scales, of how numbers are spelled, and
of the order of the levels. A snapshot and a book that holds the same levels have the same digest.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from ext.book cimport OrderBook
from ext.change cimport BookChange, Levels
from ext.ladder cimport Ladder

cdef enum:
    BID = 1
    ASK = 2


cdef inline uint64_t _mix(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL
    return value ^ (value >> 31)


cdef inline uint64_t _number(int64_t mantissa, int scale) noexcept nogil:
    """The same for 1.50 and 1.5."""
    while scale > 0 and mantissa % 10 == 0:
        mantissa //= 10
        scale -= 1
    return _mix(<uint64_t>mantissa * 0x9E3779B97F4A7C15ULL + <uint64_t>scale)


cdef inline uint64_t _level(uint64_t side, int64_t price, int price_scale, int64_t size, int size_scale) noexcept nogil:
    return _mix(_number(price, price_scale) + side * 0xD6E8FEB86659FD93ULL + 3 * _number(size, size_scale))


cdef uint64_t _side(uint64_t side, const Levels* levels, BookChange change) noexcept nogil:
    cdef:
        uint64_t total = 0
        Py_ssize_t index
        int price_scale = change.price_scale
        int size_scale = change.size_scale

    for index in range(levels.count):
        if not change.is_normalised:
            price_scale = levels.price_scales[index]
            size_scale = levels.size_scales[index]
        total += _level(side, levels.prices[index], price_scale, levels.sizes[index], size_scale)
    return total


cdef uint64_t change_digest(BookChange change, int64_t seq) noexcept nogil:
    """The digest of a message's levels and a `seq` (0: of the levels alone)."""
    return _mix(<uint64_t>seq) + _side(BID, &change.bid_levels, change) + _side(ASK, &change.ask_levels, change)


cdef uint64_t _ladder(uint64_t side, const Ladder* ladder, int64_t sign, OrderBook book) noexcept nogil:
    cdef uint64_t total = 0
    cdef Py_ssize_t index
    for index in range(ladder.start, ladder.end):
        total += _level(side, ladder.keys[index] * sign, book.price_scale, ladder.sizes[index], book.size_scale)
    return total


cdef uint64_t book_digest(OrderBook book, int64_t seq) noexcept nogil:
    """The digest of a snapshot that would say what the book says."""
    return _mix(<uint64_t>seq) + _ladder(BID, &book._bids, 1, book) + _ladder(ASK, &book._asks, -1, book)


cdef uint64_t text_digest(uint64_t value, const char* text, Py_ssize_t size) noexcept nogil:
    """The digest of bytes after others whose digest is `value` (0: the first)."""
    cdef uint64_t word
    value = _mix(value + <uint64_t>size + 0x9E3779B97F4A7C15ULL)
    while size > 0:
        word = 0
        memcpy(&word, text, 8 if size >= 8 else size)
        value = _mix(value ^ word) + 0x9E3779B97F4A7C15ULL
        text += 8
        size -= 8
    return value
