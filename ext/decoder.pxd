from ext.change cimport Levels
from ext.decoded cimport Decoded, FrameKind, TradeFields


cdef class Decoder(Decoded):
    cdef const char* _end

    cdef FrameKind decode(self, const char* frame, Py_ssize_t size) except *
    cdef FrameKind _decode_fast(self, const char* frame, Py_ssize_t size) except *
    cdef const char* _read_book(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL
    cdef const char* _read_levels(self, const char* at, Levels* side) except? NULL
    cdef const char* _read_trades(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL
    cdef const char* _read_trade(
        self, const char* at, TradeFields* trade, const char** symbol, Py_ssize_t* symbol_size
    ) noexcept
