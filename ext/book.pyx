"""OrderBook: the live level-2 state of one (category, symbol, depth), in scaled integers.

A book does not check continuity or decide when it is good: ``ext.dispatch`` does. It keeps two sorted ladders, applies
decoded changes, and can say what it holds exactly.
"""

from zlib import crc32

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy, memmove

from ext.fixed cimport DIGITS_MAX, PARSE_OK, POW10, parse_text, rescale_mantissa, to_decimal

cdef enum:
    MERGED_MAX = 512           # levels written anew at once
    MERGE_REACH = 64           # levels between two changes that are still close together
    LADDER_CAPACITY_MIN = 64   # levels
    LEVELS_CAPACITY_MIN = 256  # levels
    LINE_BYTES_MAX = 64        # of a checksum line: side, two numbers of at most 20 characters, separators


cdef int64_t _KEY_MAX = 0x7FFFFFFFFFFFFFFF


# --- ladders: functions over primitives ---------------------------------------------------------------------------

cdef inline Py_ssize_t _lower_bound(const int64_t* keys, Py_ssize_t low, Py_ssize_t high, int64_t key) noexcept nogil:
    """The first index in [low, high) whose key is not below `key`, or high."""
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Py_ssize_t _locate(const Ladder* ladder, Py_ssize_t hint, int64_t key) noexcept nogil:
    """Like _lower_bound over the whole ladder; cheap when the place is at or a little below `hint`."""
    cdef:
        const int64_t* keys = ladder.keys
        Py_ssize_t at = hint
        Py_ssize_t step = 4

    if at < ladder.end and keys[at] < key:
        return _lower_bound(keys, at + 1, ladder.end, key)
    while at - step >= ladder.start and keys[at - step] >= key:
        at -= step
        step += step
    if step == 4 and at - 4 >= ladder.start:
        # The place is within these four; summing costs less than branches that cannot be predicted.
        return at - (keys[at - 1] >= key) - (keys[at - 2] >= key) - (keys[at - 3] >= key)
    return _lower_bound(keys, max(ladder.start, at - step), at, key)


cdef int _make_room(Ladder* ladder, Py_ssize_t count) noexcept nogil:
    """Room for `count` levels, those there are kept in the middle, so that both ends have slack; -1 without memory."""
    cdef:
        Py_ssize_t present = ladder.end - ladder.start
        Py_ssize_t capacity = ladder.capacity if ladder.capacity else LADDER_CAPACITY_MIN
        Py_ssize_t start
        int64_t* grown

    while capacity < 2 * count + LADDER_CAPACITY_MIN:
        capacity *= 2
    if capacity != ladder.capacity:
        grown = <int64_t*>PyMem_RawRealloc(ladder.keys, capacity * sizeof(int64_t))
        if grown == NULL:
            return -1
        ladder.keys = grown
        grown = <int64_t*>PyMem_RawRealloc(ladder.sizes, capacity * sizeof(int64_t))
        if grown == NULL:
            return -1
        ladder.sizes = grown
        ladder.capacity = capacity
    start = (capacity - present) >> 1
    memmove(ladder.keys + start, ladder.keys + ladder.start, present * sizeof(int64_t))
    memmove(ladder.sizes + start, ladder.sizes + ladder.start, present * sizeof(int64_t))
    ladder.start = start
    ladder.end = start + present
    return 0


cdef inline void _shift(Ladder* ladder, Py_ssize_t first, Py_ssize_t last, Py_ssize_t by) noexcept nogil:
    """Move levels [first, last) by `by` places."""
    memmove(ladder.keys + first + by, ladder.keys + first, (last - first) * sizeof(int64_t))
    memmove(ladder.sizes + first + by, ladder.sizes + first, (last - first) * sizeof(int64_t))


cdef inline int _insert(Ladder* ladder, Py_ssize_t* place, int64_t key, int64_t size) noexcept nogil:
    """Insert before *place, moving the shorter side; *place becomes the new level's index."""
    cdef:
        Py_ssize_t at = place[0]
        Py_ssize_t offset = at - ladder.start

    if ladder.start == 0 or ladder.end == ladder.capacity:
        if _make_room(ladder, ladder.end - ladder.start + 1) < 0:
            return -1
        at = ladder.start + offset
    if offset < ladder.end - at:
        _shift(ladder, ladder.start, at, -1)
        ladder.start -= 1
        at -= 1
    else:
        _shift(ladder, at, ladder.end, 1)
        ladder.end += 1
    ladder.keys[at] = key
    ladder.sizes[at] = size
    place[0] = at
    return 0


cdef inline void _remove(Ladder* ladder, Py_ssize_t* place) noexcept nogil:
    """Remove the level at *place, moving the shorter side; *place becomes the index of the next better level."""
    cdef Py_ssize_t at = place[0]
    if at - ladder.start < ladder.end - at - 1:
        _shift(ladder, ladder.start, at, 1)
        ladder.start += 1
        place[0] = at + 1
    else:
        _shift(ladder, at + 1, ladder.end, -1)
        ladder.end -= 1


cdef Py_ssize_t _merge(
    Ladder* ladder, const Levels* levels, int sign, Py_ssize_t* place, uint64_t* absent
) noexcept nogil:
    """Apply the levels, as far as they stand best first and close together; return how many were applied.

    The venue sends them so. The top of the ladder, down to the last of them, is written anew in one pass, instead of
    being moved up and down once for each; what depends on a level's kind is computed, not branched on.
    """
    cdef:
        int64_t[MERGED_MAX] keys
        int64_t[MERGED_MAX] sizes
        Py_ssize_t free = MERGED_MAX
        Py_ssize_t at = ladder.end - 1
        Py_ssize_t start = ladder.start
        Py_ssize_t index = 0
        Py_ssize_t count = levels.count
        int64_t last = _KEY_MAX
        int64_t key, size
        bint found

    while index < count and free > MERGE_REACH:
        key = levels.prices[index] * sign
        size = levels.sizes[index]
        if key >= last or (at - MERGE_REACH >= start and ladder.keys[at - MERGE_REACH] > key):
            break
        while at >= start and ladder.keys[at] > key:
            free -= 1
            keys[free] = ladder.keys[at]
            sizes[free] = ladder.sizes[at]
            at -= 1
        found = at >= start and ladder.keys[at] == key
        at -= found
        absent[0] += (size == 0) & (not found)
        keys[free - 1] = key
        sizes[free - 1] = size
        free -= size != 0
        last = key
        index += 1
    at += 1
    count = MERGED_MAX - free
    memcpy(ladder.keys + at, keys + free, count * sizeof(int64_t))
    memcpy(ladder.sizes + at, sizes + free, count * sizeof(int64_t))
    ladder.end = at + count
    place[0] = at
    return index


cdef int _update(Ladder* ladder, const Levels* levels, int sign, uint64_t* absent) noexcept nogil:
    """Set or delete each level; count deletes of absent prices; -1 without memory."""
    cdef:
        Py_ssize_t index
        Py_ssize_t at
        int64_t key, size

    if ladder.end + levels.count >= ladder.capacity:
        if _make_room(ladder, ladder.end - ladder.start + levels.count) < 0:
            return -1
    index = _merge(ladder, levels, sign, &at, absent)
    while index < levels.count:
        key = levels.prices[index] * sign
        size = levels.sizes[index]
        at = _locate(ladder, at, key)
        if at < ladder.end and ladder.keys[at] == key:
            if size:
                ladder.sizes[at] = size
            else:
                _remove(ladder, &at)
        elif size:
            if _insert(ladder, &at, key, size) < 0:
                return -1
        else:
            absent[0] += 1
        index += 1
    return 0


cdef int _replace(Ladder* ladder, const Levels* levels, int sign) noexcept nogil:
    """Take the levels as the whole side, whatever their order; -1 without memory."""
    cdef:
        Py_ssize_t index
        Py_ssize_t count = levels.count
        uint64_t absent = 0

    ladder.start = ladder.end = 0
    if ladder.capacity < count and _make_room(ladder, count) < 0:
        return -1
    ladder.start = ladder.end = (ladder.capacity - count) >> 1
    for index in range(count - 1, -1, -1):
        if not levels.sizes[index] or (
            ladder.end > ladder.start and levels.prices[index] * sign <= ladder.keys[ladder.end - 1]
        ):
            break
        ladder.keys[ladder.end] = levels.prices[index] * sign
        ladder.sizes[ladder.end] = levels.sizes[index]
        ladder.end += 1
    else:
        return 0
    ladder.start = ladder.end = ladder.capacity >> 1
    return _update(ladder, levels, sign, &absent)


cdef bint _holds(const Ladder* ladder, const Levels* levels, int sign) noexcept nogil:
    """Whether each level already is as the message says; an absent level has size zero."""
    cdef:
        Py_ssize_t index
        Py_ssize_t at = ladder.end
        int64_t key

    for index in range(levels.count):
        key = levels.prices[index] * sign
        at = _locate(ladder, at, key)
        if at < ladder.end and ladder.keys[at] == key:
            if ladder.sizes[at] != levels.sizes[index]:
                return False
        elif levels.sizes[index]:
            return False
    return True


cdef bint _can_widen(
    const Ladder* ladder, int price_scale, int price_target, int size_scale, int size_target
) noexcept nogil:
    cdef:
        Py_ssize_t index
        int64_t key, size

    for index in range(ladder.start, ladder.end):
        key = ladder.keys[index]
        size = ladder.sizes[index]
        if rescale_mantissa(&key, price_scale, price_target) < 0 or rescale_mantissa(&size, size_scale, size_target) < 0:
            return False
    return True


cdef void _widen(Ladder* ladder, int64_t key_factor, int64_t size_factor) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(ladder.start, ladder.end):
        ladder.keys[index] *= key_factor
        ladder.sizes[index] *= size_factor


cdef void _copy_ladder(Ladder* target, const Ladder* source) except *:
    cdef Py_ssize_t count = source.end - source.start
    target.start = target.end = 0
    if _make_room(target, count) < 0:
        raise MemoryError()
    target.start = (target.capacity - count) >> 1
    target.end = target.start + count
    if count:
        memcpy(target.keys + target.start, source.keys + source.start, count * sizeof(int64_t))
        memcpy(target.sizes + target.start, source.sizes + source.start, count * sizeof(int64_t))


# --- one decoded message ------------------------------------------------------------------------------------------

cdef class BookChange:
    """The levels of one book message, as sent. Valid only inside the callback that hands it out; copy what you keep."""

    def __dealloc__(self):
        _free_levels(&self.bid_levels)
        _free_levels(&self.ask_levels)

    cdef void clear(self) noexcept:
        self.bid_levels.count = 0
        self.ask_levels.count = 0
        self.is_snapshot = False
        self.update_id = self.seq = self.ts_ms = self.cts_ms = 0
        self.price_scale = self.size_scale = 0
        self.price_scale_min = self.size_scale_min = DIGITS_MAX
        self.is_normalised = False

    cdef int reserve(self, Levels* side, Py_ssize_t count) except -1:
        """Make room for `count` levels on one side, keeping those there are."""
        cdef Py_ssize_t capacity = side.capacity if side.capacity else LEVELS_CAPACITY_MIN
        cdef void* grown
        if count <= side.capacity:
            return 0
        while capacity < count:
            capacity *= 2
        grown = PyMem_RawRealloc(side.prices, capacity * sizeof(int64_t))
        if grown != NULL:
            side.prices = <int64_t*>grown
            grown = PyMem_RawRealloc(side.sizes, capacity * sizeof(int64_t))
        if grown != NULL:
            side.sizes = <int64_t*>grown
            grown = PyMem_RawRealloc(side.price_scales, capacity)
        if grown != NULL:
            side.price_scales = <uint8_t*>grown
            grown = PyMem_RawRealloc(side.size_scales, capacity)
        if grown == NULL:
            raise MemoryError()
        side.size_scales = <uint8_t*>grown
        side.capacity = capacity
        return 0

    cdef int normalise(self, int price_scale, int size_scale) noexcept nogil:
        """Bring every number to the given scales, not below the largest spelled; -1, all as before, on overflow."""
        cdef:
            Levels* bids = &self.bid_levels
            Levels* asks = &self.ask_levels

        if self.price_scale_min >= price_scale and self.size_scale_min >= size_scale:
            # No number has fewer decimals than wanted, or there is none at all.
            self.price_scale = price_scale
            self.size_scale = size_scale
            self.is_normalised = True
            return 0
        if _scale_up(bids.prices, bids.price_scales, bids.count, price_scale) == 0:
            if _scale_up(bids.sizes, bids.size_scales, bids.count, size_scale) == 0:
                if _scale_up(asks.prices, asks.price_scales, asks.count, price_scale) == 0:
                    if _scale_up(asks.sizes, asks.size_scales, asks.count, size_scale) == 0:
                        self.price_scale = price_scale
                        self.size_scale = size_scale
                        self.is_normalised = True
                        return 0
                    _scale_down(asks.prices, asks.price_scales, asks.count, price_scale)
                _scale_down(bids.sizes, bids.size_scales, bids.count, size_scale)
            _scale_down(bids.prices, bids.price_scales, bids.count, price_scale)
        return -1

    @property
    def bids(self):
        """[(price, size), ...] as Decimals in the order sent; size 0 deletes the price."""
        return self._side(&self.bid_levels)

    @property
    def asks(self):
        """[(price, size), ...] as Decimals in the order sent; size 0 deletes the price."""
        return self._side(&self.ask_levels)

    cdef list _side(self, const Levels* side):
        cdef Py_ssize_t index
        return [
            (
                to_decimal(side.prices[index], self.price_scale if self.is_normalised else side.price_scales[index]),
                to_decimal(side.sizes[index], self.size_scale if self.is_normalised else side.size_scales[index]),
            )
            for index in range(side.count)
        ]


cdef void _free_levels(Levels* side) noexcept:
    PyMem_RawFree(side.prices)
    PyMem_RawFree(side.sizes)
    PyMem_RawFree(side.price_scales)
    PyMem_RawFree(side.size_scales)


cdef int _scale_up(int64_t* numbers, const uint8_t* scales, Py_ssize_t count, int target) noexcept nogil:
    """Multiply each number from its own scale to the target; -1, all as before, when one would exceed 18 digits."""
    cdef Py_ssize_t index
    for index in range(count):
        if scales[index] != target and rescale_mantissa(&numbers[index], scales[index], target) < 0:
            _scale_down(numbers, scales, index, target)
            return -1
    return 0


cdef void _scale_down(int64_t* numbers, const uint8_t* scales, Py_ssize_t count, int target) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(count):
        numbers[index] //= POW10[target - scales[index]]


cdef int _read_side(BookChange change, Levels* side, object levels) except -1:
    """Append (price, size) texts to one side."""
    cdef int64_t price, size
    cdef int price_decimals, size_decimals
    for price_text, size_text in levels:
        _read_number(price_text, &price, &price_decimals)
        _read_number(size_text, &size, &size_decimals)
        if size < 0:
            raise ValueError(f"size was {size_text!r}; a size must not be negative")
        change.reserve(side, side.count + 1)
        side.prices[side.count] = price
        side.sizes[side.count] = size
        side.price_scales[side.count] = <uint8_t>price_decimals
        side.size_scales[side.count] = <uint8_t>size_decimals
        side.count += 1
        change.note_scales(price_decimals, price_decimals, size_decimals, size_decimals)
    return 0


cdef int _read_number(str text, int64_t* mantissa, int* scale) except -1:
    cdef Py_ssize_t size
    cdef const char* characters = PyUnicode_AsUTF8AndSize(text, &size)
    if parse_text(characters, size, mantissa, scale) != PARSE_OK:
        raise ValueError(f"{text!r} is not a decimal number of at most 18 digits")
    return 0


# --- the book -----------------------------------------------------------------------------------------------------

cdef class OrderBook:
    """Live level-2 book of one (category, symbol, depth).

    Prices and sizes are int64 mantissas with `price_scale` and `size_scale` decimals; `bids`, `asks`, `price` and `size`
    give exact Decimals. Equality and `checksum` are over values, independent of the scales.

    A book handed to a callback is live and reused: read it inside the callback, `copy()` what you keep. Not for use
    from two threads at once.
    """

    __hash__ = None

    def __init__(self, str category, str symbol, int depth, int price_scale=0, int size_scale=0):
        if depth < 1:
            raise ValueError(f"depth must be at least 1, was {depth}")
        for name, scale in (("price_scale", price_scale), ("size_scale", size_scale)):
            if not 0 <= scale <= 18:
                raise ValueError(f"{name} must be 0 to 18 decimals, was {scale}")
        self.category = category
        self.symbol = symbol
        self.depth = depth
        self.topic = f"orderbook.{depth}.{symbol}"
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
            _can_widen(&self._bids, self.price_scale, price_scale, self.size_scale, size_scale)
            and _can_widen(&self._asks, self.price_scale, price_scale, self.size_scale, size_scale)
        )

    cdef void _widen(self, int price_scale, int size_scale) noexcept nogil:
        _widen(&self._bids, POW10[price_scale - self.price_scale], POW10[size_scale - self.size_scale])
        _widen(&self._asks, POW10[price_scale - self.price_scale], POW10[size_scale - self.size_scale])

    cdef int apply(self, BookChange change) except -1:
        """Apply a change that `fit` has prepared: a snapshot replaces both sides, a delta sets and deletes prices."""
        cdef int outcome
        if change.is_snapshot:
            outcome = _replace(&self._bids, &change.bid_levels, 1)
            outcome |= _replace(&self._asks, &change.ask_levels, -1)
        else:
            outcome = _update(&self._bids, &change.bid_levels, 1, &self.absent_deletes)
            outcome |= _update(&self._asks, &change.ask_levels, -1, &self.absent_deletes)
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
        return _holds(&self._bids, &change.bid_levels, 1) and _holds(&self._asks, &change.ask_levels, -1)

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

    def snapshot(self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0):
        """Replace both sides with [(price text, size text), ...] and become LIVE (STALE if a number does not fit)."""
        self._take(True, bids, asks, update_id, seq, ts_ms, cts_ms)

    def delta(self, bids, asks, *, int64_t update_id=0, int64_t seq=0, int64_t ts_ms=0, int64_t cts_ms=0):
        """Set each price to its absolute size, 0 deleting it; STALE if a number does not fit.

        Raises ValueError unless the book is LIVE: a delta means nothing without what it changes.
        """
        if self.state != BookState.LIVE:
            raise ValueError(f"{self.topic} is {BookState(self.state).name}: a delta needs a LIVE book, give a snapshot first")
        self._take(False, bids, asks, update_id, seq, ts_ms, cts_ms)

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
        _read_side(change, &change.bid_levels, bids)
        _read_side(change, &change.ask_levels, asks)
        if self.fit(change) == FIT_OVERFLOW:
            self.state = BookState.STALE
            return 0
        self.apply(change)
        self.change = change
        self.state = BookState.LIVE
        return 0

    # -- reading

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
        _canonical(text, c"B", &self._bids, 1, self.price_scale, self.size_scale, depth)
        _canonical(text, c"A", &self._asks, -1, self.price_scale, self.size_scale, depth)
        return crc32(text)

    def copy(self):
        """An independent OrderBook with the same state (without `change`)."""
        cdef OrderBook twin = OrderBook(
            self.category, self.symbol, self.depth, self._base_price_scale, self._base_size_scale
        )
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
        _copy_ladder(&twin._bids, &self._bids)
        _copy_ladder(&twin._asks, &self._asks)
        return twin

    def __eq__(self, other):
        """Whether both are books of the same category, symbol and depth with equal levels by value."""
        if not isinstance(other, OrderBook):
            return NotImplemented
        return (
            self.category == other.category
            and self.topic == other.topic
            and self.bids() == other.bids()
            and self.asks() == other.asks()
        )

    def __repr__(self):
        bid, ask = self.best_bid, self.best_ask
        return (
            f"<OrderBook {self.category} {self.topic} {BookState(self.state).name} u={self.update_id} "
            f"{self.price(bid[0]) if bid else '-'} / {self.price(ask[0]) if ask else '-'}>"
        )


cdef int _canonical(
    bytearray text, char side, const Ladder* ladder, int sign, int price_scale, int size_scale, Py_ssize_t depth
) except -1:
    """Append the canonical lines of one side."""
    cdef:
        char[LINE_BYTES_MAX] line
        char* at
        Py_ssize_t index
        Py_ssize_t last = ladder.start if depth <= 0 else max(ladder.start, ladder.end - depth)

    for index in range(ladder.end - 1, last - 1, -1):
        line[0] = side
        line[1] = c" "
        at = _write_number(line + 2, ladder.keys[index] * sign, price_scale)
        at[0] = c" "
        at = _write_number(at + 1, ladder.sizes[index], size_scale)
        at[0] = c"\n"
        text += line[:at + 1 - line]
    return 0


cdef char* _write_number(char* at, int64_t mantissa, int scale) noexcept nogil:
    """Write the plain number without trailing fraction zeros; return the end."""
    cdef:
        char[24] digits
        int count = 0

    if mantissa < 0:
        at[0] = c"-"
        at += 1
        mantissa = -mantissa
    while scale and mantissa % 10 == 0:
        mantissa //= 10
        scale -= 1
    while mantissa or count <= scale:
        digits[count] = <char>(c"0" + mantissa % 10)
        mantissa //= 10
        count += 1
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
        if scale and count == scale:
            at[0] = c"."
            at += 1
    return at
