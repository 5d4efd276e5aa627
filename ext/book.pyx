"""OrderBook: the live level-2 state of one (category, symbol, depth), in scaled integers.

A book does not check continuity or decide when it is good: ``ext.dispatch`` does. It keeps two sorted ladders, applies
decoded changes, and can say what it holds exactly.
"""

from zlib import crc32

from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport int64_t, uint8_t, uint32_t

from ext.change cimport BookChange, Levels, read_levels
from ext.fixed cimport POW10, to_decimal
from ext.ladder cimport (
    Ladder,
    can_widen_ladder,
    copy_ladder,
    holds_levels,
    replace_levels,
    update_levels,
    widen_ladder,
    write_canonical,
)


KINDS = ("plain", "rpi", "rpi_only", "full")  # by BookKind


cdef class OrderBook:
    """Live level-2 book of one (category, symbol, depth).

    Prices and sizes are int64 mantissas with `price_scale` and `size_scale` decimals; `bids`, `asks`, `price` and `size`
    give exact Decimals. Equality and `checksum` are over values, independent of the scales.

    `kind` is "plain"; "rpi" for orderbook.rpi, whose `rpi` is a book of the sizes that only retail price improvement has
    (None elsewhere); "full" for orderbook.full, with `depth` 0.

    A book handed to a callback is live and reused: read it inside the callback, `copy()` what you keep. Not for use
    from two threads at once.
    """

    __hash__ = None

    def __init__(
        self, str category, str symbol, int depth, int price_scale=0, int size_scale=0, *, str kind="plain"
    ):
        if kind not in KINDS:
            raise ValueError(f"kind was {kind!r}; use one of {', '.join(KINDS)}")
        if depth < 1 and not (depth == 0 and kind == "full"):
            raise ValueError(f"depth must be at least 1, was {depth}")
        for name, scale in (("price_scale", price_scale), ("size_scale", size_scale)):
            if not 0 <= scale <= 18:
                raise ValueError(f"{name} must be 0 to 18 decimals, was {scale}")
        self.category = category
        self.symbol = symbol
        self.depth = depth
        self.topic = f"orderbook.{depth if kind == 'plain' else kind.partition('_')[0]}.{symbol}"
        self.kind_code = <BookKind><int>KINDS.index(kind)
        if self.kind_code == RPI:
            self.rpi = OrderBook(category, symbol, depth, price_scale, size_scale, kind="rpi_only")
        self.price_scale = self._base_price_scale = price_scale
        self.size_scale = self._base_size_scale = size_scale

    def __dealloc__(self):
        PyMem_RawFree(self._bids.keys)
        PyMem_RawFree(self._bids.sizes)
        PyMem_RawFree(self._asks.keys)
        PyMem_RawFree(self._asks.sizes)

    # -- applying

    cdef Fit fit(self, BookChange change) noexcept nogil:
        """Bring book and change to common scales, before `apply`."""
        cdef:
            int price_scale = max(self.price_scale, change.price_scale)
            int size_scale = max(self.size_scale, change.size_scale)
            bint wider = price_scale > self.price_scale or size_scale > self.size_scale

        if change.is_snapshot:
            if change.normalise(price_scale, size_scale) < 0:
                # A scale that one odd message forced must not outlive it.
                price_scale = max(self._base_price_scale, change.price_scale)
                size_scale = max(self._base_size_scale, change.size_scale)
                if change.normalise(price_scale, size_scale) < 0:
                    return FIT_OVERFLOW
        else:
            if wider and not self._can_widen(price_scale, size_scale):
                return FIT_OVERFLOW
            if change.normalise(price_scale, size_scale) < 0:
                return FIT_OVERFLOW
            if wider:
                self._widen(price_scale, size_scale)
        self.price_scale = price_scale
        self.size_scale = size_scale
        return FIT_WIDENED if wider else FIT_SAME

    cdef bint _can_widen(self, int price_scale, int size_scale) noexcept nogil:
        return (
            can_widen_ladder(&self._bids, self.price_scale, price_scale, self.size_scale, size_scale)
            and can_widen_ladder(&self._asks, self.price_scale, price_scale, self.size_scale, size_scale)
        )

    cdef void _widen(self, int price_scale, int size_scale) noexcept nogil:
        widen_ladder(&self._bids, POW10[price_scale - self.price_scale], POW10[size_scale - self.size_scale])
        widen_ladder(&self._asks, POW10[price_scale - self.price_scale], POW10[size_scale - self.size_scale])

    cdef int apply(self, BookChange change) except -1:
        """Apply a change that `fit` has prepared: a snapshot replaces both sides, a delta sets and deletes prices."""
        cdef int outcome
        if change.is_snapshot:
            outcome = replace_levels(&self._bids, &change.bid_levels, 1)
            outcome |= replace_levels(&self._asks, &change.ask_levels, -1)
        else:
            outcome = update_levels(&self._bids, &change.bid_levels, 1, &self.absent_deletes)
            outcome |= update_levels(&self._asks, &change.ask_levels, -1, &self.absent_deletes)
        if outcome < 0:
            self.state = BookState.STALE
            raise MemoryError()
        self.update_id = change.update_id
        self.seq = change.seq
        self.ts_ms = change.ts_ms
        self.cts_ms = change.cts_ms
        return 0

    cdef bint contains(self, BookChange change) noexcept nogil:
        """Whether applying the (fitted) delta would change nothing."""
        return holds_levels(&self._bids, &change.bid_levels, 1) and holds_levels(&self._asks, &change.ask_levels, -1)

    cdef int violations(self) noexcept nogil:
        """The set of Violation bits that hold now; which of them are errors is for the caller's table to say."""
        cdef:
            int found = 0
            int64_t spread

        if self._bids.end > self._bids.start and self._asks.end > self._asks.start:
            # Keys of asks are negated prices.
            spread = -self._asks.keys[self._asks.end - 1] - self._bids.keys[self._bids.end - 1]
            if spread <= 0:
                found = LOCKED if spread == 0 else CROSSED
        if self._bids.end - self._bids.start > self.depth or self._asks.end - self._asks.start > self.depth:
            found |= TOO_DEEP
        # The lowest bid is the first key; the lowest ask is the best one.
        if (self._bids.end > self._bids.start and self._bids.keys[self._bids.start] < 0) or (
            self._asks.end > self._asks.start and self._asks.keys[self._asks.end - 1] > 0
        ):
            found |= NEGATIVE_PRICE
        return found

    cdef int write_change(self, BookChange target) except -1:
        """Make a change the snapshot that says what the book says."""
        target.clear()
        target.is_snapshot = True
        target.update_id = self.update_id
        target.seq = self.seq
        target.ts_ms = self.ts_ms
        target.cts_ms = self.cts_ms
        _write_side(target, &target.bid_levels, &self._bids, 1, self.price_scale, self.size_scale)
        _write_side(target, &target.ask_levels, &self._asks, -1, self.price_scale, self.size_scale)
        target.note_scales(self.price_scale, self.price_scale, self.size_scale, self.size_scale)
        return 0

    cdef Py_ssize_t trim(self, Py_ssize_t levels_max) noexcept nogil:
        """Drop what is farther from the best than `levels_max` levels of a side; how many that were."""
        cdef Py_ssize_t bids = max(self._bids.end - self._bids.start - levels_max, 0)
        cdef Py_ssize_t asks = max(self._asks.end - self._asks.start - levels_max, 0)
        self._bids.start += bids
        self._asks.start += asks
        return bids + asks

    def snapshot(self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0):
        """Replace both sides with [(price text, size text), ...] and become LIVE; return whether it did.

        False: a number does not fit 18 digits, the book is STALE.
        """
        self._take(True, bids, asks, update_id, seq, ts_ms, cts_ms)
        return self.state == BookState.LIVE

    def delta(self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0):
        """Set each price to its absolute size, 0 deleting it; return whether the book is still LIVE, as all numbers fit.

        Raises ValueError unless the book is LIVE: a delta means nothing without what it changes.
        """
        self.check_live()
        self._take(False, bids, asks, update_id, seq, ts_ms, cts_ms)
        return self.state == BookState.LIVE

    cdef int check_live(self) except -1:
        if self.state != BookState.LIVE:
            raise ValueError(f"{self.topic} is {BookState(self.state).name}: a delta needs a LIVE book, give a snapshot first")
        return 0

    cdef int _take(
        self, bint is_snapshot, bids, asks, int64_t update_id, int64_t seq, int64_t ts_ms, int64_t cts_ms
    ) except -1:
        cdef BookChange change = BookChange()
        change.clear()
        change.is_snapshot = is_snapshot
        change.update_id = update_id
        change.seq = seq
        change.ts_ms = ts_ms
        change.cts_ms = cts_ms
        read_levels(change, &change.bid_levels, bids)
        read_levels(change, &change.ask_levels, asks)
        if self.fit(change) == FIT_OVERFLOW:
            self.state = BookState.STALE
            return 0
        self.apply(change)
        self.change = change
        self.state = BookState.LIVE
        return 0

    # -- reading

    @property
    def kind(self):
        """"plain", "rpi", "rpi_only" (the `rpi` of such a book) or "full"."""
        return KINDS[self.kind_code]

    @property
    def best_bid(self):
        """(price mantissa, size mantissa) of the best bid, or None."""
        if self._bids.end == self._bids.start:
            return None
        return self._bids.keys[self._bids.end - 1], self._bids.sizes[self._bids.end - 1]

    @property
    def best_ask(self):
        """(price mantissa, size mantissa) of the best ask, or None."""
        if self._asks.end == self._asks.start:
            return None
        return -self._asks.keys[self._asks.end - 1], self._asks.sizes[self._asks.end - 1]

    def bids(self, Py_ssize_t count=0):
        """[(price, size), ...] as exact Decimals, best first; the whole side where count is 0."""
        return self._side(&self._bids, 1, count)

    def asks(self, Py_ssize_t count=0):
        """[(price, size), ...] as exact Decimals, best first; the whole side where count is 0."""
        return self._side(&self._asks, -1, count)

    cdef list _side(self, const Ladder* ladder, int sign, Py_ssize_t count):
        cdef Py_ssize_t index
        cdef Py_ssize_t last = ladder.start if count <= 0 else max(ladder.start, ladder.end - count)
        return [
            (
                to_decimal(ladder.keys[index] * sign, self.price_scale),
                to_decimal(ladder.sizes[index], self.size_scale),
            )
            for index in range(ladder.end - 1, last - 1, -1)
        ]

    def rpi_bids(self, Py_ssize_t count=0):
        """[(price, size, rpi size), ...] of an "rpi" book as exact Decimals, best first; all where count is 0."""
        return self._merged(self.bids(), [] if self.rpi is None else self.rpi.bids(), -1, count)

    def rpi_asks(self, Py_ssize_t count=0):
        """[(price, size, rpi size), ...] of an "rpi" book as exact Decimals, best first; all where count is 0."""
        return self._merged(self.asks(), [] if self.rpi is None else self.rpi.asks(), 1, count)

    cdef list _merged(self, list plain, list rpi, int sign, Py_ssize_t count):
        cdef object none = to_decimal(0, 0)
        cdef dict sizes = dict(plain)
        cdef dict rpi_sizes = dict(rpi)
        prices = sorted(sizes.keys() | rpi_sizes.keys(), reverse=sign < 0)
        return [
            (price, sizes.get(price, none), rpi_sizes.get(price, none)) for price in (prices[:count] if count > 0 else prices)
        ]

    def level_counts(self):
        """(number of bid levels, number of ask levels)."""
        return self._bids.end - self._bids.start, self._asks.end - self._asks.start

    def price(self, int64_t mantissa):
        """The exact Decimal of a price mantissa of this book."""
        return to_decimal(mantissa, self.price_scale)

    def size(self, int64_t mantissa):
        """The exact Decimal of a size mantissa of this book."""
        return to_decimal(mantissa, self.size_scale)

    cpdef uint32_t checksum(self, Py_ssize_t depth=0):
        """CRC32 over the canonical text of the best `depth` levels a side (0: all).

        The text has a line ``B price size`` for each bid, best first, then ``A price size`` for each ask, numbers
        without trailing fraction zeros: the same for equal books whatever their scales.
        """
        cdef bytearray text = bytearray()
        write_canonical(text, c"B", &self._bids, 1, self.price_scale, self.size_scale, depth)
        write_canonical(text, c"A", &self._asks, -1, self.price_scale, self.size_scale, depth)
        return crc32(text)

    def copy(self):
        """An independent OrderBook with the same state (without `change`)."""
        cdef OrderBook twin = OrderBook(
            self.category, self.symbol, self.depth, self._base_price_scale, self._base_size_scale, kind=self.kind
        )
        self.copy_into(twin)
        return twin

    cdef int copy_into(self, OrderBook twin) except -1:
        """Give a book of the same topic the present state."""
        twin.price_scale = self.price_scale
        twin.size_scale = self.size_scale
        twin.state = self.state
        twin.update_id = self.update_id
        twin.seq = self.seq
        twin.ts_ms = self.ts_ms
        twin.cts_ms = self.cts_ms
        twin.recv_ns = self.recv_ns
        twin.position = self.position
        twin.leg = self.leg
        twin.absent_deletes = self.absent_deletes
        copy_ladder(&twin._bids, &self._bids)
        copy_ladder(&twin._asks, &self._asks)
        return 0 if self.rpi is None else self.rpi.copy_into(twin.rpi)

    def __eq__(self, other):
        """Whether both are books of the same category, symbol and depth with equal levels by value."""
        if not isinstance(other, OrderBook):
            return NotImplemented
        return (
            self.category == other.category
            and self.topic == other.topic
            and self.bids() == other.bids()
            and self.asks() == other.asks()
            and self.rpi == other.rpi
        )

    def __repr__(self):
        bid, ask = self.best_bid, self.best_ask
        return (
            f"<OrderBook {self.category} {self.topic} {BookState(self.state).name} u={self.update_id} "
            f"{self.price(bid[0]) if bid else '-'} / {self.price(ask[0]) if ask else '-'}>"
        )


cdef int _write_side(
    BookChange target, Levels* levels, const Ladder* side, int sign, int price_scale, int size_scale
) except -1:
    cdef Py_ssize_t count = side.end - side.start
    cdef Py_ssize_t index
    target.reserve(levels, count)
    for index in range(count):
        levels.prices[index] = side.keys[side.end - 1 - index] * sign
        levels.sizes[index] = side.sizes[side.end - 1 - index]
        levels.price_scales[index] = <uint8_t>price_scale
        levels.size_scales[index] = <uint8_t>size_scale
    levels.count = count
    return 0


cdef bint have_same_best(OrderBook one, OrderBook other) noexcept nogil:
    """Whether the best prices of two books are equal by value; no level is equal to none."""
    return _is_same_best(&one._bids, one.price_scale, &other._bids, other.price_scale) and _is_same_best(
        &one._asks, one.price_scale, &other._asks, other.price_scale
    )


cdef bint _is_same_best(const Ladder* one, int one_scale, const Ladder* other, int other_scale) noexcept nogil:
    cdef int64_t price, factor
    if one.end == one.start or other.end == other.start:
        return one.end == one.start and other.end == other.start
    if one_scale < other_scale:
        return _is_same_best(other, other_scale, one, one_scale)
    # A mantissa has 18 digits at most: dividing cannot overflow where multiplying might.
    price = one.keys[one.end - 1]
    factor = POW10[one_scale - other_scale]
    return price % factor == 0 and price // factor == other.keys[other.end - 1]
