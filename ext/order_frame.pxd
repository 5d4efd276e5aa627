from libc.stdint cimport int64_t

cpdef enum FrameLimit:
    REQUEST_BYTES_MAX = 2048     # of the text of a request
    PIECES_MAX = 16
    PREFIX_BYTES_MAX = 28        # INSTANCE-BOOT-, what a number leaves of 36 characters

cpdef enum Slot:
    # What is put behind a piece of the text.
    SLOT_END = 0
    SLOT_REQUEST = 1     # the number of the request: base 36
    SLOT_ORDER = 2       # the number of the order: base 36
    SLOT_STAMP = 3       # ms
    SLOT_QTY = 4
    SLOT_PRICE = 5


cdef struct FrameValues:
    int64_t request
    int64_t order
    int64_t stamp_ms
    int64_t qty
    int64_t price


cdef struct Piece:
    Py_ssize_t start
    Py_ssize_t size
    int slot


cdef class OrderFrame:
    cdef:
        bytes _text
        Piece[PIECES_MAX] _pieces
        int _count
        readonly int qty_scale
        readonly int price_scale

    cdef Py_ssize_t render(self, char* out, const FrameValues* values) noexcept


cdef class LinkIds:
    cdef:
        readonly str prefix
        readonly int64_t number

    cdef bint is_spent(self) noexcept
    cpdef int64_t take(self) except 0
    cpdef str text(self, int64_t number)


cdef Py_ssize_t put_base36(char* out, int64_t number) noexcept nogil
cdef Py_ssize_t put_fixed(char* out, int64_t mantissa, int scale) noexcept nogil
