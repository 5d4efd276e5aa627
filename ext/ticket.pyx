"""From a callback to the wire: guards, the ready request, the socket, and what the client is told of it afterwards."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from picows.picows cimport WSMsgType, WSTransport

from ext.guard cimport (
    BLOCK_BACKPRESSURE, BLOCK_CLOCK, BLOCK_NOT_AUTHENTICATED, RULE_BLOCKED, RULE_DRY_RUN, RULE_LAG, RULE_RATE,
    RULE_SENT, Candidate, RateWindow, Rule, SymbolLimits,
)
from ext.journal cimport Journal
from ext.order_frame cimport FrameValues, LinkIds, OrderFrame

cdef int64_t _NS_PER_MS = 1_000_000


cdef inline int64_t _clock_ns(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class OrderGate:
    """What every order of one account passes: the connection of order entry and its clock.

    `ids` numbers requests and orders. `wake()` is called after the first request that waits to be drained: `drain` in
    the same turn of the loop. One thread, that of the connection's loop. Closed at the start.
    """

    def __init__(self, LinkIds ids not None, object wake not None):
        self.ids = ids
        self._wake = wake
        self._tickets = [None] * SENT_MAX

    def connect(self, WSTransport transport):
        """Send over this connection, which is logged in; None: over none."""
        self.transport = transport
        self._waiting_bytes = None if transport is None else transport.underlying_transport.get_write_buffer_size

    def set_clock(self, int64_t stamp_offset_ns, int64_t ahead_ns, int64_t until_ns):
        """How the venue's clock is known until `until_ns` (monotonic clock).

        A request sent at `t` of the monotonic clock is stamped `t + stamp_offset_ns`; our wall clock is `ahead_ns`
        ahead of the venue's, which is taken off a book's lag.
        """
        self._stamp_offset_ns = stamp_offset_ns
        self.ahead_ns = ahead_ns
        self._clock_until_ns = until_ns

    def audit_into(self, Journal journal, int kind, int connection=0):
        """Append the text of every request to this journal as a record of this kind; None: to none.

        The record is written with the journal's next commit. It has no secret: only logging in has one.
        """
        if not 1 < kind <= 255 or not 0 <= connection <= 65535:
            raise ValueError(f"kind was {kind}, connection {connection}; they are 2 to 255 and 0 to 65535")
        self._journal = journal
        self._audit_kind = kind
        self._connection = <uint16_t>connection

    @property
    def undrained(self):
        """How many requests were written and not drained."""
        return self._count

    def drain(self):
        """Take what was written: a list of (ticket, op, request, order, qty, price, stamp_ms, mono_ns), oldest first.

        `request` and `order` are numbers of `ids`: of the reqId, and of the orderLinkId.
        """
        cdef list taken = []
        cdef Sent* sent
        while self._count:
            sent = &self._ring[self._first]
            taken.append((
                self._tickets[self._first], sent.op, sent.request, sent.order, sent.qty, sent.price, sent.stamp_ms,
                sent.mono_ns,
            ))
            self._tickets[self._first] = None
            self._first = (self._first + 1) % SENT_MAX
            self._count -= 1
        return taken

    cdef int64_t refuse(self, Rule rule) noexcept:
        self.refused += 1
        return -<int64_t>rule

    cdef int64_t refuse_blocked(self, int64_t blocks) noexcept:
        self.blocks = blocks
        return self.refuse(RULE_BLOCKED)

    cdef int check(self, int64_t mono_ns) except -1:
        """Bits of `Block`: why nothing can be written now."""
        cdef int blocks = 0
        if self.transport is None or self.transport.is_disconnected or self.transport.is_close_frame_sent:
            return BLOCK_NOT_AUTHENTICATED
        if mono_ns >= self._clock_until_ns:
            blocks |= BLOCK_CLOCK
        if self._count == SENT_MAX or <Py_ssize_t>self._waiting_bytes() > self.waiting_bytes_max:
            blocks |= BLOCK_BACKPRESSURE
        return blocks

    cdef int64_t write(
        self, Ticket ticket, OrderFrame frame, int op, FrameValues* values, int64_t mono_ns
    ) except? 0:
        cdef Py_ssize_t size
        values.stamp_ms = (mono_ns + self._stamp_offset_ns) // _NS_PER_MS
        size = frame.render(self._wire + FRAME_HEADER_BYTES, values)
        try:
            self.transport.send_reuse_external_buffer(WSMsgType.TEXT, self._wire + FRAME_HEADER_BYTES, size)
        finally:
            # Where sending failed nobody knows what left: that order is to be asked for, like one without an answer.
            self.sent += 1
            if self._journal is not None:
                self.audit(frame, values, mono_ns)
            self.register(ticket, op, values, mono_ns)
        return values.order

    cdef int register(self, Ticket ticket, int op, const FrameValues* values, int64_t mono_ns) except -1:
        cdef int at = (self._first + self._count) % SENT_MAX
        self._ring[at] = Sent(values.request, values.order, values.qty, values.price, values.stamp_ms, mono_ns, op)
        self._tickets[at] = ticket
        self._count += 1
        if self._count == 1:
            self._wake()
        return 0

    cdef int audit(self, OrderFrame frame, const FrameValues* values, int64_t mono_ns) noexcept:
        # Sending masked the text where it lay: it is made once more, as the time before the wire is dearer.
        cdef Py_ssize_t size = frame.render(self._wire, values)
        # The order is on its way: that its record is lost must not hide it.
        try:
            if not self._journal.append(
                <uint8_t>self._audit_kind, self._connection, _clock_ns(CLOCK_REALTIME), mono_ns, self._wire,
                <uint32_t>size,
            ):
                self.unaudited += 1
        except Exception:
            self.unaudited += 1
        return 0


cdef class Ticket:
    """Orders of one kind: everything is said but quantity and price, which are mantissas at the instrument's scales.

    The methods return the number of the order (`link_id` has its text) once the request is written to the socket, or
    the number of the broken Rule below 0 (`gate.blocks` says what blocked it); nothing is kept for later. To be called on the loop's thread, best from a
    listener's callback. `name` is category and symbol, `about` the client's own.
    """

    def __init__(
        self,
        OrderGate gate not None,
        SymbolLimits limits not None,
        *,
        str name not None,
        bint is_buy,
        bint is_market=False,
        bint is_post_only=False,
        bint is_closing=False,
        OrderFrame create not None,
        OrderFrame amend not None,
        OrderFrame cancel not None,
        RateWindow create_rate not None,
        RateWindow amend_rate not None,
        RateWindow cancel_rate not None,
        object about=None,
    ):
        self.gate = gate
        self.limits = limits
        self.name = name
        self.is_buy = is_buy
        self.is_market = is_market
        self.is_post_only = is_post_only
        self.is_closing = is_closing
        self.about = about
        self._create = create
        self._amend = amend
        self._cancel = cancel
        self._create_rate = create_rate
        self._amend_rate = amend_rate
        self._cancel_rate = cancel_rate

    def link_id(self, int64_t number):
        """The orderLinkId of an order by the number that `send` returned."""
        return self.gate.ids.text(number)

    @property
    def qty_scale(self):
        """Decimals of a quantity."""
        return self._create.qty_scale

    @property
    def price_scale(self):
        """Decimals of a price."""
        return self._create.price_scale

    cpdef int64_t send(self, int64_t qty, int64_t price=0) except? 0:
        """Place an order; a market order has no price."""
        cdef OrderGate gate = self.gate
        cdef int64_t mono_ns = _clock_ns(CLOCK_MONOTONIC)
        cdef int64_t refusal = self._refusal(qty, price, self._create_rate, mono_ns)
        cdef FrameValues values
        if refusal:
            return refusal
        values.request = values.order = gate.ids.take()
        values.qty = qty
        values.price = price
        self._create_rate.note(mono_ns)
        self.limits.note(self.is_buy, qty, 1)
        return gate.write(self, self._create, CREATE, &values, mono_ns)

    cpdef int64_t amend(self, int64_t number, int64_t qty, int64_t price) except? 0:
        """Give an order of this ticket another quantity (the whole, what is filled included) and price.

        Until the account says what room is left the new quantity counts beside the old one. ValueError where no order
        of this start has that number.
        """
        self._check_number(number)
        cdef OrderGate gate = self.gate
        cdef int64_t mono_ns = _clock_ns(CLOCK_MONOTONIC)
        cdef int64_t refusal = self._refusal(qty, price, self._amend_rate, mono_ns)
        cdef FrameValues values
        if refusal:
            return refusal
        values.request = gate.ids.take()
        values.order = number
        values.qty = qty
        values.price = price
        self._amend_rate.note(mono_ns)
        self.limits.note(self.is_buy, qty, 0)
        return gate.write(self, self._amend, AMEND, &values, mono_ns)

    cpdef int64_t cancel(self, int64_t number) except? 0:
        """Cancel an order of this ticket; the kill switch, a stale book and limits do not stand against it. As `amend`."""
        self._check_number(number)
        cdef OrderGate gate = self.gate
        cdef int64_t mono_ns = _clock_ns(CLOCK_MONOTONIC)
        cdef int64_t refusal = self._cancel_refusal(mono_ns)
        cdef FrameValues values
        if refusal:
            return refusal
        values.request = gate.ids.take()
        values.order = number
        values.qty = values.price = 0
        self._cancel_rate.note(mono_ns)
        return gate.write(self, self._cancel, CANCEL, &values, mono_ns)

    cdef int _check_number(self, int64_t number) except -1:
        if not 1 <= number <= self.gate.ids.number:
            raise ValueError(f"number was {number}; orders of this start have 1 to {self.gate.ids.number}")
        return 0

    cdef int64_t _refusal(self, int64_t qty, int64_t price, RateWindow rate, int64_t mono_ns) except? 1:
        cdef OrderGate gate = self.gate
        cdef SymbolLimits limits = self.limits
        cdef Candidate order = Candidate(
            self.is_buy, self.is_market, self.is_post_only, self.is_closing, qty, price
        )
        cdef int64_t blocks = limits.blocks | limits.check_book() | gate.check(mono_ns)
        cdef Rule rule
        if blocks:
            return gate.refuse_blocked(blocks)
        if limits.lag_ms(gate.ahead_ns) > limits.lag_ms_max:
            return gate.refuse(RULE_LAG)
        rule = limits.check(&order)
        if rule == RULE_SENT and not rate.has_room(mono_ns):
            rule = RULE_RATE
        elif rule == RULE_SENT and limits.is_dry_run:
            rule = RULE_DRY_RUN
        return gate.refuse(rule) if rule != RULE_SENT else 0

    cdef int64_t _cancel_refusal(self, int64_t mono_ns) except? 1:
        cdef OrderGate gate = self.gate
        cdef int blocks = gate.check(mono_ns)
        if blocks:
            return gate.refuse_blocked(blocks)
        if not self._cancel_rate.has_room(mono_ns):
            return gate.refuse(RULE_RATE)
        return gate.refuse(RULE_DRY_RUN) if self.limits.is_dry_run else 0
