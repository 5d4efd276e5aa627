"""What an order may be, as integer compares: limits of a symbol, what is at risk there, orders of the last second."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport INT64_MIN, int64_t

from ext.book cimport LIVE, OrderBook

cdef extern from *:
    ctypedef long long int128 "__int128"

cdef int64_t _NS_PER_MS = 1_000_000
cdef int64_t _NS_PER_S = 1_000_000_000


cdef class SymbolGuard:
    """Limits of one symbol and what is at risk in it.

    Quantities are mantissas at the instrument's size scale, prices at its price scale, notional at the sum of both
    scales; `lag_max_ns` in ns. Steps, ticks, `qty_min` and `price_min` are at least 1. With `needs_book` an order
    needs a `book` that is LIVE (see `follow`). One thread.
    """

    def __cinit__(self):
        self._limits.qty_step = self._limits.price_tick = self._limits.qty_min = self._limits.price_min = 1

    def __init__(self, *, bint needs_book=True, bint reduce_only=False, **limits):
        self.needs_book = needs_book
        self.reduce_only = reduce_only
        self.limit(**limits)

    def limit(
        self,
        *,
        int64_t qty_step,
        int64_t qty_min,
        int64_t qty_max,
        int64_t price_tick,
        int64_t price_min=1,
        int64_t price_max=AMOUNT_MAX,
        int64_t notional_min=0,
        int64_t notional_max=AMOUNT_MAX,
        int64_t position_max=AMOUNT_MAX,
        int64_t open_orders_max=AMOUNT_MAX,
        int64_t lag_max_ns=AMOUNT_MAX,
    ):
        """Replace the limits; the book and what is at risk stay. ValueError names a limit that cannot be one."""
        cdef SymbolLimits limits = SymbolLimits(
            qty_step, qty_min, qty_max, price_tick, price_min, price_max, notional_min, notional_max, position_max,
            open_orders_max, lag_max_ns,
        )
        named = dict(limits)
        for name, value in named.items():
            least = 1 if name in ("qty_step", "qty_min", "price_tick", "price_min") else 0
            if not least <= value <= AMOUNT_MAX:
                raise ValueError(f"{name} was {value}; it is {least} to {AMOUNT_MAX}")
        self._limits = limits

    @property
    def limits(self):
        """The limits by name."""
        return dict(self._limits)

    def follow(self, OrderBook book):
        """The book whose state and lag count; None: no book."""
        self.book = book

    def expose(self, *, int64_t long, int64_t short, int64_t open_orders):
        """Set what is at risk: the account's truth takes the place of what `Ticket.send` counted since.

        `long` and `short`: the most that can be held on each side once all open orders are filled, none negative.
        """
        for name, value in (("long", long), ("short", short), ("open_orders", open_orders)):
            if not 0 <= value <= <int64_t>AMOUNT_MAX:
                raise ValueError(f"{name} was {value}; it is 0 to {AMOUNT_MAX}")
        self.long = long
        self.short = short
        self.open_orders = open_orders

    def refusal(self, bint is_buy, int64_t qty, int64_t price, *, bint is_reducing=False, int64_t wall_offset_ns=0):
        """What `Ticket.send` would find here: a Refusal, or 0. A market order has the price 0."""
        return self.check(is_buy, is_reducing, price == 0, qty, price, wall_offset_ns)

    cdef int check(
        self, bint is_buy, bint is_reducing, bint is_market, int64_t qty, int64_t price, int64_t wall_offset_ns
    ) noexcept:
        cdef int refusal = self.check_amounts(is_market, qty, price)
        if refusal == 0:
            refusal = self.check_exposure(is_buy, is_reducing, qty)
        if refusal == 0:
            refusal = self.check_feed(wall_offset_ns)
        return refusal

    cdef int check_amounts(self, bint is_market, int64_t qty, int64_t price) noexcept:
        cdef SymbolLimits* limits = &self._limits
        cdef int128 notional
        # AMOUNT_MAX is no limit: a product may be more.
        cdef int128 notional_max = limits.notional_max
        if limits.notional_max == AMOUNT_MAX:
            notional_max *= AMOUNT_MAX
        if qty < limits.qty_min:
            return QTY_MIN
        if qty > limits.qty_max:
            return QTY_MAX
        if qty % limits.qty_step:
            return QTY_STEP
        if is_market:
            # What it will trade at is not known: the end of the price band is the worst.
            return NOTIONAL_MAX if <int128>qty * limits.price_max > notional_max else 0
        if price < limits.price_min:
            return PRICE_MIN
        if price > limits.price_max:
            return PRICE_MAX
        if price % limits.price_tick:
            return PRICE_TICK
        notional = <int128>qty * price
        if notional < limits.notional_min:
            return NOTIONAL_MIN
        return NOTIONAL_MAX if notional > notional_max else 0

    cdef int check_exposure(self, bint is_buy, bint is_reducing, int64_t qty) noexcept:
        if self.open_orders >= self._limits.open_orders_max:
            return OPEN_ORDERS
        # The venue cuts a reduce-only order to the position.
        if is_reducing:
            return 0
        if self.reduce_only:
            return REDUCE_ONLY
        return POSITION if (self.long if is_buy else self.short) + qty > self._limits.position_max else 0

    cdef int check_feed(self, int64_t wall_offset_ns) noexcept:
        cdef int64_t lag_ns
        if self.book is None:
            return BOOK_NOT_LIVE if self.needs_book else 0
        if self.book.state != LIVE:
            return BOOK_NOT_LIVE
        lag_ns = self.book.recv_ns + wall_offset_ns - self.book.ts_ms * _NS_PER_MS
        return FEED_LAG if lag_ns > self._limits.lag_max_ns else 0

    cdef void count(self, bint is_buy, bint is_reducing, int64_t qty, int orders) noexcept:
        """An order was written: it counts before the account knows it."""
        if is_buy and not is_reducing:
            self.long += qty
        elif not is_reducing:
            self.short += qty
        self.open_orders += orders


cdef class RateWindow:
    """At most `per_second` requests in any second, whoever sends them. Times are of the monotonic clock, in ns."""

    def __cinit__(self, int per_second):
        cdef int at
        if not 1 <= per_second <= ORDERS_PER_S_MAX:
            raise ValueError(f"per_second was {per_second}; it is 1 to {ORDERS_PER_S_MAX}")
        self.per_second = per_second
        self.blocked_until_ns = INT64_MIN
        self._taken_ns = <int64_t*>PyMem_Calloc(per_second, sizeof(int64_t))
        if self._taken_ns is NULL:
            raise MemoryError(f"no memory for the requests of a second: {per_second}")
        for at in range(per_second):
            self._taken_ns[at] = INT64_MIN // 2

    def __dealloc__(self):
        PyMem_Free(self._taken_ns)

    cdef bint has_room(self, int64_t mono_ns) noexcept:
        return mono_ns >= self.blocked_until_ns and mono_ns - self._taken_ns[self._next] >= _NS_PER_S

    cdef void note(self, int64_t mono_ns) noexcept:
        self._taken_ns[self._next] = mono_ns
        self._next = self._next + 1 if self._next + 1 < self.per_second else 0

    cpdef bint take(self, int64_t mono_ns):
        """Whether one more request may be sent now; it is then counted."""
        if not self.has_room(mono_ns):
            return False
        self.note(mono_ns)
        return True

    def block(self, int64_t until_ns):
        """Refuse until then: the venue said so."""
        self.blocked_until_ns = max(self.blocked_until_ns, until_ns)
