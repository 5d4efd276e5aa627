"""ChecksumBook: an OrderBook that verifies the checksum a venue sends with each message.

Bybit sends none; OKX, Bitget and Kraken do. These sums are over the digits as the venue spelled them, so such a book
keeps the spelling of every level beside its number. An ordinary `OrderBook` does not, and pays nothing for it.
"""

from zlib import crc32

from ext.book cimport BookState, OrderBook
from ext.change cimport Levels
from ext.fixed cimport POW10
from ext.ladder cimport Ladder

cdef enum:
    OKX_LEVELS = 25     # a side, in the sum
    KRAKEN_LEVELS = 10


cdef class ChecksumBook(OrderBook):
    """An OrderBook with a rule: a message whose checksum differs from the book's turns it STALE.

    `rule` is the form of the sum, a CRC32 of text over the best levels:

    - ``"okx"`` and ``"bitget"``: 25 a side, ``bid price:bid size:ask price:ask size:...`` level by level, what a shorter
      side lacks left out; a signed 32-bit number;
    - ``"kraken"``: 10 a side, asks before bids, best first, each price and size without its point and leading zeros; an
      unsigned 32-bit number.

    Raises ValueError for another rule. `mismatches` counts messages whose sum was not the book's.
    """

    def __init__(self, str category, str symbol, int depth, str rule, int price_scale=0, int size_scale=0):
        if rule not in ("okx", "bitget", "kraken"):
            raise ValueError(f"rule was {rule!r}; use 'okx', 'bitget' or 'kraken'")
        super().__init__(category, symbol, depth, price_scale, size_scale)
        self.rule = rule
        self._bid_texts = {}
        self._ask_texts = {}

    def snapshot(
        self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0, checksum=None
    ):
        """Replace both sides with [(price text, size text), ...]; return whether the book is now LIVE.

        `checksum` is the venue's, None where the message has none.
        """
        self._bid_texts.clear()
        self._ask_texts.clear()
        return self._take_checked(True, bids, asks, update_id, seq, ts_ms, cts_ms, checksum)

    def delta(
        self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0, checksum=None
    ):
        """Set each price to its absolute size, 0 deleting it; return whether the book is still LIVE.

        Raises ValueError unless it was before.
        """
        self.check_live()
        return self._take_checked(False, bids, asks, update_id, seq, ts_ms, cts_ms, checksum)

    cdef bint _take_checked(
        self,
        bint is_snapshot,
        bids,
        asks,
        int64_t update_id,
        int64_t seq,
        int64_t ts_ms,
        int64_t cts_ms,
        object checksum,
    ) except -1:
        cdef int price_scale = self.price_scale
        self._take(is_snapshot, bids, asks, update_id, seq, ts_ms, cts_ms)
        if self.state != BookState.LIVE:
            return False
        if not is_snapshot and self.price_scale > price_scale:
            factor = POW10[self.price_scale - price_scale]
            self._bid_texts = {price * factor: texts for price, texts in self._bid_texts.items()}
            self._ask_texts = {price * factor: texts for price, texts in self._ask_texts.items()}
        _keep_texts(self._bid_texts, bids, &self.change.bid_levels)
        _keep_texts(self._ask_texts, asks, &self.change.ask_levels)
        if checksum is not None and checksum != self.venue_checksum():
            self.mismatches += 1
            self.state = BookState.STALE
        return self.state == BookState.LIVE

    cpdef int64_t venue_checksum(self):
        """The sum that the venue should have sent with the present state, by this book's rule."""
        cdef list bids
        cdef list asks
        cdef list parts = []
        if self.rule == "kraken":
            for price, size in (
                _best_texts(&self._asks, -1, self._ask_texts, KRAKEN_LEVELS)
                + _best_texts(&self._bids, 1, self._bid_texts, KRAKEN_LEVELS)
            ):
                parts.append(_bare(price))
                parts.append(_bare(size))
            return crc32("".join(parts).encode())
        bids = _best_texts(&self._bids, 1, self._bid_texts, OKX_LEVELS)
        asks = _best_texts(&self._asks, -1, self._ask_texts, OKX_LEVELS)
        for index in range(max(len(bids), len(asks))):
            for side in (bids, asks):
                if index < len(side):
                    parts.extend(side[index])
        unsigned = crc32(":".join(parts).encode())
        return unsigned - (1 << 32) if unsigned >> 31 else unsigned

    def copy(self):
        """An independent ChecksumBook with the same state (without `change`)."""
        cdef ChecksumBook twin = ChecksumBook(
            self.category, self.symbol, self.depth, self.rule, self._base_price_scale, self._base_size_scale
        )
        self.copy_into(twin)
        twin._bid_texts = dict(self._bid_texts)
        twin._ask_texts = dict(self._ask_texts)
        twin.mismatches = self.mismatches
        return twin


cdef int _keep_texts(dict texts, levels, const Levels* decoded) except -1:
    """Note how each level was spelled, by its price mantissa."""
    cdef Py_ssize_t index = 0
    for price, size in levels:
        if decoded.sizes[index]:
            texts[decoded.prices[index]] = (price, size)
        else:
            texts.pop(decoded.prices[index], None)
        index += 1
    return 0


cdef list _best_texts(const Ladder* ladder, int sign, dict texts, Py_ssize_t count):
    cdef Py_ssize_t index
    return [
        texts[ladder.keys[index] * sign]
        for index in range(ladder.end - 1, max(ladder.start, ladder.end - count) - 1, -1)
    ]


cdef str _bare(str number):
    return number.replace(".", "").lstrip("0")
