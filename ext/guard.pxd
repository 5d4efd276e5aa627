from libc.stdint cimport int64_t

from ext.book cimport OrderBook

cpdef enum GuardLimit:
    ORDERS_PER_S_MAX = 10000

# The numbers of `engine.orders.guards.Rule` and `Block`.
cdef enum Rule:
    RULE_SENT = 0
    RULE_BLOCKED = 1
    RULE_LAG = 2
    RULE_TICK = 3
    RULE_MIN_PRICE = 4
    RULE_MAX_PRICE = 5
    RULE_BAND = 6
    RULE_MIN_QTY = 7
    RULE_STEP = 8
    RULE_MAX_QTY = 9
    RULE_NO_PRICE = 10
    RULE_MIN_NOTIONAL = 11
    RULE_MAX_NOTIONAL = 12
    RULE_REDUCE_ONLY = 13
    RULE_POSITION = 14
    RULE_OPEN_ORDERS = 15
    RULE_RATE = 16
    RULE_DRY_RUN = 17

cdef enum Block:
    BLOCK_NOT_AUTHENTICATED = 16
    BLOCK_CLOCK = 64
    BLOCK_BOOK = 128
    BLOCK_BACKPRESSURE = 256


cdef struct Candidate:
    bint is_buy
    bint is_market
    bint is_post_only
    bint is_closing
    int64_t qty
    int64_t price


cdef class SymbolLimits:
    cdef public:
        int64_t price_scale
        int64_t size_scale
        int64_t tick
        int64_t step
        int64_t is_inverse
        int64_t min_price
        int64_t max_price
        int64_t min_qty
        int64_t max_qty
        int64_t max_post_qty
        int64_t max_market_qty
        int64_t min_notional
        int64_t max_notional
        int64_t lag_ms_max
        int64_t rate_max
        int64_t is_reduce_only
        int64_t is_dry_run
        int64_t blocks
        int64_t band_low
        int64_t band_high
        int64_t buy_room
        int64_t sell_room
        int64_t orders_room
    cdef readonly OrderBook book

    cdef Rule check(self, const Candidate* order) noexcept
    cdef Rule check_price(self, const Candidate* order) noexcept
    cdef Rule check_size(self, const Candidate* order) noexcept
    cdef int check_book(self) noexcept
    cdef int64_t lag_ms(self, int64_t ahead_ns) noexcept
    cdef void note(self, bint is_buy, int64_t qty, int orders) noexcept


cdef class RateWindow:
    cdef:
        readonly int per_second
        readonly int64_t blocked_until_ns   # monotonic clock
        int64_t* _taken_ns
        int _next

    cdef bint has_room(self, int64_t mono_ns) noexcept
    cpdef int note(self, int64_t mono_ns) except -1
