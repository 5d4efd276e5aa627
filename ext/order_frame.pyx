"""A request whose text stands ready: numbers are put between its pieces, exactly, without a Python object."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ext.fixed cimport DIGITS_MAX

cdef enum:
    ROOM_BYTES = 24     # the longest number: 18 digits, "0." and leading zeros of a fraction

cdef int64_t _NUMBER_MAX = 36**7 - 1     # 7 digits of base 36
cdef const char* _DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


cdef Py_ssize_t put_base36(char* out, int64_t number) noexcept nogil:
    """Write a number that is not negative; returns the characters written."""
    return _put_digits(out, number, 36, 1)


cdef Py_ssize_t put_fixed(char* out, int64_t mantissa, int scale) noexcept nogil:
    """Write a mantissa that is not negative with `scale` decimals; returns the characters written."""
    cdef Py_ssize_t size = _put_digits(out, mantissa, 10, scale + 1)
    cdef Py_ssize_t at
    if scale == 0:
        return size
    for at in range(size, size - scale, -1):
        out[at] = out[at - 1]
    out[size - scale] = b"."
    return size + 1


cdef inline Py_ssize_t _put_digits(char* out, int64_t number, const int base, int digits_min) noexcept nogil:
    # Inlined with a base that the compiler knows: it divides by multiplying.
    cdef char[20] turned
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t at
    while number or size < digits_min:
        turned[size] = _DIGITS[<uint64_t>number % <uint64_t>base]
        number = <int64_t>(<uint64_t>number // <uint64_t>base)
        size += 1
    for at in range(size):
        out[at] = turned[size - 1 - at]
    return size


cdef class LinkIds:
    """Gives numbers that were never given since this start; `prefix` + number in base 36 is an orderLinkId."""

    def __init__(self, str prefix not None):
        if not prefix.isascii() or not 1 <= len(prefix) <= PREFIX_BYTES_MAX:
            raise ValueError(f"prefix was {prefix!r}; it has 1 to {PREFIX_BYTES_MAX} ASCII characters")
        self.prefix = prefix

    cdef bint is_spent(self) noexcept:
        return self.number >= _NUMBER_MAX

    cpdef int64_t take(self) except 0:
        """The next number. OverflowError once all are spent."""
        if self.is_spent():
            raise OverflowError(f"{_NUMBER_MAX} orderLinkIds were given since the start")
        self.number += 1
        return self.number

    cpdef str text(self, int64_t number):
        """The orderLinkId of a number, which is not negative."""
        cdef char[20] digits
        if not 0 <= number <= _NUMBER_MAX:
            raise ValueError(f"number was {number}; it is 0 to {_NUMBER_MAX}")
        return self.prefix + digits[:put_base36(digits, number)].decode("ascii")


cdef class OrderFrame:
    """The text of a request with gaps for numbers.

    `pieces` is a list of (bytes, Slot): the text, and which number follows it; SLOT_END ends the last piece alone.
    Quantity and price are mantissas at `qty_scale` and `price_scale` decimals.
    """

    def __init__(self, pieces not None, int qty_scale, int price_scale):
        cdef Py_ssize_t start = 0
        if not 1 <= len(pieces) <= PIECES_MAX:
            raise ValueError(f"a request has 1 to {PIECES_MAX} pieces, this one {len(pieces)}")
        for name, scale in (("qty_scale", qty_scale), ("price_scale", price_scale)):
            if not 0 <= scale <= DIGITS_MAX:
                raise ValueError(f"{name} was {scale}; it is 0 to {DIGITS_MAX}")
        self._text = b"".join([text for text, _ in pieces])
        if len(self._text) + ROOM_BYTES * len(pieces) > REQUEST_BYTES_MAX:
            raise ValueError(f"the request has {len(self._text)} bytes; with its numbers it may have {REQUEST_BYTES_MAX}")
        for at, (text, slot) in enumerate(pieces):
            if (slot == SLOT_END) != (at == len(pieces) - 1) or not SLOT_END <= slot <= SLOT_PRICE:
                raise ValueError(f"piece {at} has slot {slot}: SLOT_END ends the last piece, and no other")
            self._pieces[at] = Piece(start, len(text), slot)
            start += len(text)
        self._count = len(pieces)
        self.qty_scale = qty_scale
        self.price_scale = price_scale

    cdef Py_ssize_t render(self, char* out, const FrameValues* values) noexcept:
        """Write the request, at most REQUEST_BYTES_MAX; returns its size. No value is negative."""
        cdef const char* text = PyBytes_AS_STRING(self._text)
        cdef char* start = out
        cdef Piece* piece
        cdef int at
        for at in range(self._count):
            piece = &self._pieces[at]
            memcpy(out, text + piece.start, piece.size)
            out += piece.size
            if piece.slot == SLOT_REQUEST:
                out += put_base36(out, values.request)
            elif piece.slot == SLOT_ORDER:
                out += put_base36(out, values.order)
            elif piece.slot == SLOT_STAMP:
                out += put_fixed(out, values.stamp_ms, 0)
            elif piece.slot == SLOT_QTY:
                out += put_fixed(out, values.qty, self.qty_scale)
            elif piece.slot == SLOT_PRICE:
                out += put_fixed(out, values.price, self.price_scale)
        return out - start

    def text(self, *, int64_t request, int64_t stamp_ms, int64_t order=0, int64_t qty=0, int64_t price=0):
        """The request as bytes. ValueError where a number is negative."""
        cdef char[REQUEST_BYTES_MAX] out
        cdef FrameValues values = FrameValues(request, order, stamp_ms, qty, price)
        for name, value in dict(values).items():
            if value < 0:
                raise ValueError(f"{name} was {value}; it is not negative")
        return PyBytes_FromStringAndSize(out, self.render(out, &values))
