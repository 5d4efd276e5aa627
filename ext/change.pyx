"""BookChange: the levels of one book message, decoded."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize

from ext.fixed cimport DIGITS_MAX, PARSE_OK, POW10, parse_text, rescale_mantissa, to_decimal

cdef enum:
    LEVELS_CAPACITY_MIN = 256  # levels


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

    cdef bint is_plain_book(self) noexcept nogil:
        """Whether it lists whole sides: no size zero, best levels first, none twice. Of a normalised change."""
        return _is_plain(&self.bid_levels, -1) and _is_plain(&self.ask_levels, 1)

    cdef int normalise(self, int price_scale, int size_scale) noexcept nogil:
        """Bring every number to the given scales, not below the largest spelled; -1, all as before, on overflow."""
        cdef:
            Levels* bids = &self.bid_levels
            Levels* asks = &self.ask_levels

        if self.is_normalised:
            return 0 if self.price_scale == price_scale and self.size_scale == size_scale else -1
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


cdef bint _is_plain(const Levels* side, int sign) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(side.count):
        if side.sizes[index] == 0:
            return False
        if index and sign * side.prices[index] <= sign * side.prices[index - 1]:
            return False
    return True


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


cdef int read_levels(BookChange change, Levels* side, object levels) except -1:
    """Append (price, size) texts to one side; ValueError for what is no decimal or a negative size."""
    cdef int64_t price, size
    cdef int price_decimals, size_decimals
    for price_text, size_text in levels:
        _read_number(price_text, &price, &price_decimals)
        _read_number(size_text, &size, &size_decimals)
        if size < 0:
            raise ValueError(f"size was {size_text!r}; a size must not be negative")
        if size == 0:
            size_decimals = 0
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
