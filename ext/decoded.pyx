"""What a frame held: filled by the fused decoder or by the judge behind it, read by the dispatcher."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc

from ext.change cimport BookChange

cdef enum:
    TRADES_CAPACITY_MIN = 64


cdef class Decoded:
    """The content of the last frame, by kind. Reused from frame to frame."""

    def __cinit__(self):
        self.change = BookChange()
        self.rpi_change = BookChange()
        self.refusal = ""

    def __dealloc__(self):
        PyMem_RawFree(self.trades)

    cdef int reserve_trades(self, Py_ssize_t count) except -1:
        cdef Py_ssize_t capacity = self._trade_capacity if self._trade_capacity else TRADES_CAPACITY_MIN
        cdef void* grown
        if count <= self._trade_capacity:
            return 0
        while capacity < count:
            capacity *= 2
        grown = PyMem_RawRealloc(self.trades, capacity * sizeof(TradeFields))
        if grown == NULL:
            raise MemoryError()
        self.trades = <TradeFields*>grown
        self._trade_capacity = capacity
        return 0
