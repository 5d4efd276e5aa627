from libc.stdint cimport int64_t
from libc.string cimport memcmp

from ext.change cimport BookChange

cpdef enum FrameKind:
    MALFORMED = 0
    BOOK = 1
    TRADES = 2
    TICKER = 3
    KLINE = 4
    LIQUIDATIONS = 5
    CONTROL = 6         # no topic: an ack, a pong, an error
    UNKNOWN_TOPIC = 7   # valid, of a kind that has no decoder
    BOOK_RPI = 8        # sizes with and without RPI: `change` and `rpi_change`
    BOOK_FULL = 9
    NOTICES = 10        # insurance, adlAlert, priceLimit, system.status


cdef enum:
    BOOK_DEPTH_MAX = 1000
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


cdef class Decoded:
    cdef:
        # Points into the frame or into `message`: valid until the next frame.
        const char* topic
        Py_ssize_t topic_size
        BookChange change
        BookChange rpi_change
        TradeFields* trades
        Py_ssize_t trade_count
        Py_ssize_t _trade_capacity
        list symbols       # of the trades, where one differs from the topic's; else None
        bint is_snapshot
        int64_t ts_ms
        int64_t seq
        object data        # of topics that are no book and no trades
        object message     # the last frame that went through orjson
        str refusal        # why the last frame was MALFORMED
        readonly unsigned long long fallbacks

    cdef int reserve_trades(self, Py_ssize_t count) except -1


cdef inline Py_ssize_t book_symbol(const char* topic, Py_ssize_t size) noexcept nogil:
    """The offset of the symbol in `orderbook.{depth}.{symbol}`, or 0."""
    cdef Py_ssize_t at = 10
    cdef int depth = 0
    if size < 13 or memcmp(topic, b"orderbook.", 10) != 0 or topic[10] == c"0":
        return 0
    while at < size and c"0" <= topic[at] <= c"9" and at < 14:
        depth = depth * 10 + (topic[at] - c"0")
        at += 1
    if depth < 1 or depth > BOOK_DEPTH_MAX or at + 1 >= size or topic[at] != c".":
        return 0
    return at + 1


cdef inline bint is_trade_topic(const char* topic, Py_ssize_t size) noexcept nogil:
    return size > 12 and memcmp(topic, b"publicTrade.", 12) == 0
