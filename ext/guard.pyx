"""What an order may be, as integer compares: the limits of a symbol, and how many requests a second holds."""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from ext.book cimport LIVE, OrderBook
from ext.fixed cimport DIGITS_MAX, POW10

cdef extern from *:
    ctypedef long long int128 "__int128"

cdef int64_t _NS_PER_MS = 1_000_000
cdef int64_t _NS_PER_S = 1_000_000_000
cdef tuple _NAMES = (
    "price_scale",
    "size_scale",
    "tick",
    "step",
    "is_inverse",
    "min_price",
    "max_price",
    "min_qty",
    "max_qty",
    "max_post_qty",
    "max_market_qty",
    "min_notional",
    "max_notional",
    "lag_ms_max",
    "rate_max",
    "is_reduce_only",
    "is_dry_run",
    "blocks",
    "band_low",
    "band_high",
    "buy_room",
    "sell_room",
    "orders_room",
)


cdef class SymbolLimits:
    """The rules of one symbol: every field is an int64.

    Prices are mantissas at ``price_scale``, quantities at ``size_scale`` (base coin; inverse: USD),
    notionals at the sum of both (quote coin; inverse: USD): price * qty, or where ``is_inverse``
    qty * 10**price_scale; a product may need 128 bits. A rule that there is none of has 0 as a minimum and
    INT64_MAX as a maximum.

    Fixed until the instrument or the limits change:

    - ``tick``, ``step``: price and quantity are multiples of these
    - ``min_price``, ``max_price``, ``min_qty``, ``min_notional``: the venue's
    - ``max_qty`` of limit orders, ``max_post_qty`` of PostOnly, ``max_market_qty`` of market orders
    - ``max_notional``: the user's, of one order
    - ``lag_ms_max``: of the feed; ``rate_max``: orders in one second
    - ``is_reduce_only``, ``is_dry_run``: 0 or 1

    Kept current by the client, with every change of book, account or connection:

    - ``blocks``: bits of `Block`; anything but 0 refuses
    - ``band_low``: sells below it are refused; ``band_high``: buys above it. Market orders are counted with
      the band of their side as price; 0 and INT64_MAX where there is no book
    - ``buy_room``, ``sell_room``: how much more may be bought, sold: the limit of the position less the worst
      that it can become (`Exposure`); negative where that is more than the limit
    - ``orders_room``: how many more orders may be open

    Who sends takes its quantity off ``buy_room`` or ``sell_room`` and 1 off ``orders_room`` at once; the next
    value from the account, which has the order by then, replaces them.

    With a `book` (`follow`) the fast path asks it too: it must be LIVE, and its lag is what is held against
    ``lag_ms_max``.
    """

    def __init__(
        self,
        *,
        int64_t price_scale,
        int64_t size_scale,
        int64_t tick,
        int64_t step,
        int64_t is_inverse=0,
        int64_t min_price=0,
        int64_t max_price=INT64_MAX,
        int64_t min_qty=0,
        int64_t max_qty=INT64_MAX,
        int64_t max_post_qty=INT64_MAX,
        int64_t max_market_qty=INT64_MAX,
        int64_t min_notional=0,
        int64_t max_notional=INT64_MAX,
        int64_t lag_ms_max=INT64_MAX,
        int64_t rate_max=INT64_MAX,
        int64_t is_reduce_only=0,
        int64_t is_dry_run=0,
        int64_t blocks=0,
        int64_t band_low=0,
        int64_t band_high=INT64_MAX,
        int64_t buy_room=INT64_MAX,
        int64_t sell_room=INT64_MAX,
        int64_t orders_room=INT64_MAX,
    ):
        self.price_scale = price_scale
        self.size_scale = size_scale
        self.tick = tick
        self.step = step
        self.is_inverse = is_inverse
        self.min_price = min_price
        self.max_price = max_price
        self.min_qty = min_qty
        self.max_qty = max_qty
        self.max_post_qty = max_post_qty
        self.max_market_qty = max_market_qty
        self.min_notional = min_notional
        self.max_notional = max_notional
        self.lag_ms_max = lag_ms_max
        self.rate_max = rate_max
        self.is_reduce_only = is_reduce_only
        self.is_dry_run = is_dry_run
        self.blocks = blocks
        self.band_low = band_low
        self.band_high = band_high
        self.buy_room = buy_room
        self.sell_room = sell_room
        self.orders_room = orders_room

    def follow(self, OrderBook book):
        """The book that orders of the fast path depend on; None: no book."""
        self.book = book

    def but(self, **changed):
        """A copy with some values changed, which follows no book."""
        return SymbolLimits(**{name: getattr(self, name) for name in _NAMES} | changed)

    def become(self, SymbolLimits other not None):
        """Take the values of another; the book stays."""
        for name in _NAMES:
            setattr(self, name, getattr(other, name))

    def __eq__(self, other):
        if not isinstance(other, SymbolLimits):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _NAMES)

    __hash__ = None

    def __repr__(self):
        return f"SymbolLimits({', '.join(f'{name}={getattr(self, name)}' for name in _NAMES)})"

    def rule(
        self, *, bint is_buy, int64_t qty, int64_t price=0, bint is_market=False, bint is_post_only=False,
        bint is_closing=False,
    ):
        """The number of the first rule of an order itself that is broken, 0: none. Not of its moment: see `Ticket`."""
        cdef Candidate order = Candidate(is_buy, is_market, is_post_only, is_closing, qty, price)
        return <int>self.check(&order)

    cdef Rule check(self, const Candidate* order) noexcept:
        cdef Rule rule = RULE_SENT if order.is_market else self.check_price(order)
        cdef int64_t most
        if rule:
            return rule
        if order.qty <= 0 or order.qty < self.min_qty:
            return RULE_MIN_QTY
        if self.step < 1 or order.qty % self.step:
            return RULE_STEP
        most = self.max_market_qty if order.is_market else self.max_post_qty if order.is_post_only else self.max_qty
        if order.qty > most:
            return RULE_MAX_QTY
        if not order.is_closing:
            rule = self.check_size(order)
            if rule:
                return rule
        return RULE_OPEN_ORDERS if self.orders_room <= 0 else RULE_SENT

    cdef Rule check_price(self, const Candidate* order) noexcept:
        if self.tick < 1 or order.price % self.tick:
            return RULE_TICK
        if order.price <= 0 or order.price < self.min_price:
            return RULE_MIN_PRICE
        if order.price > self.max_price:
            return RULE_MAX_PRICE
        if order.price > self.band_high if order.is_buy else order.price < self.band_low:
            return RULE_BAND
        return RULE_SENT

    cdef Rule check_size(self, const Candidate* order) noexcept:
        cdef int64_t price = self.band_high if order.is_market else order.price
        cdef int128 notional
        if self.is_inverse:
            price = POW10[min(self.price_scale, <int64_t>DIGITS_MAX)]
        if price == INT64_MAX and self.max_notional != INT64_MAX:
            return RULE_NO_PRICE
        notional = <int128>order.qty * price
        if notional < self.min_notional:
            return RULE_MIN_NOTIONAL
        if notional > self.max_notional:
            return RULE_MAX_NOTIONAL
        if self.is_reduce_only:
            return RULE_REDUCE_ONLY
        return RULE_POSITION if order.qty > (self.buy_room if order.is_buy else self.sell_room) else RULE_SENT

    cdef int check_book(self) noexcept:
        """Bits of `Block`."""
        return BLOCK_BOOK if self.book is not None and self.book.state != LIVE else 0

    cdef int64_t lag_ms(self, int64_t ahead_ns) noexcept:
        """How late the last message of the book came; `ahead_ns`: of our clock before the venue's."""
        return 0 if self.book is None else (self.book.recv_ns - ahead_ns) // _NS_PER_MS - self.book.ts_ms

    cdef void note(self, bint is_buy, int64_t qty, int orders) noexcept:
        """An order was written: it counts before the account knows it."""
        if is_buy and self.buy_room >= INT64_MIN + qty:
            self.buy_room -= qty
        elif not is_buy and self.sell_room >= INT64_MIN + qty:
            self.sell_room -= qty
        self.orders_room -= orders


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

    cpdef int note(self, int64_t mono_ns) except -1:
        """Count a request that is sent, whoever sends it."""
        self._taken_ns[self._next] = mono_ns
        self._next = self._next + 1 if self._next + 1 < self.per_second else 0

    def is_free(self, int64_t mono_ns):
        """Whether one more request may be sent."""
        return self.has_room(mono_ns)

    def block(self, int64_t until_ns):
        """Refuse until then: the venue said so."""
        self.blocked_until_ns = max(self.blocked_until_ns, until_ns)
