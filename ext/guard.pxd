from libc.stdint cimport int64_t

from ext.book cimport OrderBook

cpdef enum Refusal:
    # An order was not sent. 0 is no refusal; `Ticket.send` returns them negative.
    KILLED = 1
    NOT_CONNECTED = 2
    NOT_AUTHENTICATED = 3
    NOT_RECONCILED = 4
    CLOCK_UNCERTAIN = 5
    BACKPRESSURE = 6        # bytes wait in front of it
    UNDRAINED = 7           # the ring of sent orders is full
    NUMBERS_SPENT = 8
    RATE = 9
    BOOK_NOT_LIVE = 10
    FEED_LAG = 11
    QTY_STEP = 12
    QTY_MIN = 13
    QTY_MAX = 14
    PRICE_TICK = 15
    PRICE_MIN = 16
    PRICE_MAX = 17
    NOTIONAL_MIN = 18
    NOTIONAL_MAX = 19
    POSITION = 20
    OPEN_ORDERS = 21
    REDUCE_ONLY = 22
    DRY_RUN = 23

cpdef enum GuardLimit:
    AMOUNT_MAX = 1000000000000000000     # of any mantissa: sums of three stay within 64 bits
    ORDERS_PER_S_MAX = 10000


cdef struct SymbolLimits:
    # Mantissas: quantities at the instrument's size scale, prices at its price scale, notional at the sum of both.
    int64_t qty_step
    int64_t qty_min
    int64_t qty_max
    int64_t price_tick
    int64_t price_min
    int64_t price_max
    int64_t notional_min
    int64_t notional_max
    int64_t position_max
    int64_t open_orders_max
    int64_t lag_max_ns


cdef class SymbolGuard:
    cdef:
        SymbolLimits _limits
        readonly OrderBook book
        readonly bint needs_book
        public bint reduce_only
        readonly int64_t long          # the most that can be held once every open order of that side is filled
        readonly int64_t short
        readonly int64_t open_orders

    cdef int check(self, bint is_buy, bint is_reducing, bint is_market, int64_t qty, int64_t price, int64_t wall_offset_ns) noexcept
    cdef int check_amounts(self, bint is_market, int64_t qty, int64_t price) noexcept
    cdef int check_exposure(self, bint is_buy, bint is_reducing, int64_t qty) noexcept
    cdef int check_feed(self, int64_t wall_offset_ns) noexcept
    cdef void count(self, bint is_buy, bint is_reducing, int64_t qty, int orders) noexcept


cdef class RateWindow:
    cdef:
        readonly int per_second
        readonly int64_t blocked_until_ns   # monotonic clock
        int64_t* _taken_ns
        int _next

    cdef bint has_room(self, int64_t mono_ns) noexcept
    cdef void note(self, int64_t mono_ns) noexcept
    cpdef bint take(self, int64_t mono_ns)
