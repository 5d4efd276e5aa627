from libc.stdint cimport int64_t

from ext.book cimport BookChange, Levels

cpdef enum FrameKind:
    MALFORMED = 0
    BOOK = 1
    TRADES = 2
    TICKER = 3
    KLINE = 4
    LIQUIDATIONS = 5
    CONTROL = 6         # no topic: an ack, a pong, an error
    UNKNOWN_TOPIC = 7   # valid, of a kind that has no decoder


cdef enum:
    TRADE_ID_BYTES_MAX = 64


cdef struct TradeFields:
    int64_t time_ms
    int64_t price
    int64_t size
    int64_t seq
    int price_scale
    int size_scale
    int tick_direction
    int trade_id_size
    bint is_buy
    bint is_block
    bint is_rpi
    char[TRADE_ID_BYTES_MAX] trade_id


cdef class Decoder:
    cdef:
        # What the last frame held, by kind. `topic` points into the frame or into `message`: valid until the next call.
        const char* topic
        Py_ssize_t topic_size
        BookChange change
        TradeFields* trades
        Py_ssize_t trade_count
        Py_ssize_t _trade_capacity
        const char* _end
        list symbols       # of the trades, where one differs from the topic's; else None
        bint is_snapshot
        int64_t ts_ms
        int64_t seq
        object data
        object message
        readonly unsigned long long fallbacks
        str refusal        # why the last frame was MALFORMED

    cdef FrameKind decode(self, const char* frame, Py_ssize_t size) except *
    cdef FrameKind _decode_fast(self, const char* frame, Py_ssize_t size) except *
    cdef const char* _read_book(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL
    cdef const char* _read_levels(self, const char* at, Levels* side) except? NULL
    cdef const char* _read_trades(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL
    cdef const char* _read_trade(
        self, const char* at, TradeFields* trade, const char** symbol, Py_ssize_t* symbol_size
    ) noexcept
    cdef int _reserve_trades(self, Py_ssize_t count) except -1
    cdef FrameKind _decode_slow(self, const char* frame, Py_ssize_t size) except *
    cdef FrameKind _decode_topic(self, str topic, dict message) except *
    cdef void _find_topic(self, const char* frame, Py_ssize_t size) noexcept
    cdef int _take_book(self, dict message, str symbol) except -1
    cdef int _take_levels(self, Levels* side, object levels, str name) except -1
    cdef int _take_trades(self, dict message, str symbol) except -1
    cdef int _take_envelope(self, dict message) except -1
