from libc.stdint cimport int64_t, uint16_t, uint64_t

from picows.picows cimport WSTransport

from ext.guard cimport Candidate, RateWindow, Rule, SymbolLimits
from ext.journal cimport Journal
from ext.order_frame cimport REQUEST_BYTES_MAX, FrameValues, LinkIds, OrderFrame

cpdef enum TicketLimit:
    SENT_MAX = 1024          # requests that were written and not drained
    FRAME_HEADER_BYTES = 16  # picows puts its header in front of the text: at most 14

cpdef enum Op:
    CREATE = 0
    AMEND = 1
    CANCEL = 2


cdef struct Sent:
    int64_t request
    int64_t order
    int64_t qty
    int64_t price
    int64_t stamp_ms
    int64_t mono_ns
    int op


cdef class OrderGate:
    cdef:
        readonly LinkIds ids
        public Py_ssize_t waiting_bytes_max
        readonly uint64_t sent
        readonly uint64_t refused
        readonly uint64_t unaudited
        readonly int64_t ahead_ns
        readonly int64_t blocks          # of the last request that was refused as blocked: bits of Block
        readonly WSTransport transport
        object _waiting_bytes
        object _wake
        int64_t _stamp_offset_ns
        int64_t _clock_until_ns
        char[FRAME_HEADER_BYTES + REQUEST_BYTES_MAX + 64] _wire   # masking may read some bytes more
        Journal _journal
        int _audit_kind
        uint16_t _connection
        Sent[SENT_MAX] _ring
        list _tickets
        int _first
        int _count

    cdef int check(self, int64_t mono_ns) except -1
    cdef int64_t refuse(self, Rule rule) noexcept
    cdef int64_t refuse_blocked(self, int64_t blocks) noexcept
    cdef int64_t write(self, Ticket ticket, OrderFrame frame, int op, FrameValues* values, int64_t mono_ns) except? 0
    cdef int register(self, Ticket ticket, int op, const FrameValues* values, int64_t mono_ns) except -1
    cdef int audit(self, OrderFrame frame, const FrameValues* values, int64_t mono_ns) noexcept


cdef class Ticket:
    cdef:
        readonly OrderGate gate
        readonly SymbolLimits limits
        readonly str name
        readonly bint is_buy
        readonly bint is_market
        readonly bint is_post_only
        readonly bint is_closing
        readonly object about
        OrderFrame _create
        OrderFrame _amend
        OrderFrame _cancel
        RateWindow _create_rate
        RateWindow _amend_rate
        RateWindow _cancel_rate

    cpdef int64_t send(self, int64_t qty, int64_t price=*) except? 0
    cpdef int64_t amend(self, int64_t number, int64_t qty, int64_t price) except? 0
    cpdef int64_t cancel(self, int64_t number) except? 0
    cdef int _check_number(self, int64_t number) except -1
    cdef int64_t _refusal(self, int64_t qty, int64_t price, RateWindow rate, int64_t mono_ns) except? 1
    cdef int64_t _cancel_refusal(self, int64_t mono_ns) except? 1
