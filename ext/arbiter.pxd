from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook
from ext.carriers cimport Carrier, Carriers
from ext.change cimport BookChange

cpdef enum ArbiterLimit:
    APPLIED_MAX = 256   # messages of a book whose digests are remembered; a power of two
    HELD_MAX = 65       # messages of a leg that wait for the book: a snapshot and 64 after it


cpdef enum Verdict:
    APPLY = 0       # continues the book
    ALONE = 1       # no other leg has it in step, or all counting begins anew: the rules of one leg
    LATE = 2        # the book has it by another leg
    DUPLICATE = 3   # this leg said it before
    REPEAT = 4      # the same of level 1
    JOINED = 5      # a snapshot that the book has passed: the leg is in step, the book stays as it is
    HELD = 6        # ahead of the book: waits for it
    UNSYNCED = 7    # of a leg that is out of step
    BROKEN = 8      # the leg's own sequence is: it needs a new snapshot
    DIFFERS = 9     # contradicts what another leg told
    UNFOLLOWED = 10 # arbitration has ended, and the book follows another leg


cdef enum LegState:
    OUT = 0
    IN_STEP = 1
    WAITING = 2  # its snapshot is ahead of the book
    PAST = 3     # counts as before the book's last restart


cdef struct Applied:
    int64_t update_id
    int64_t seq
    uint64_t digest
    int64_t recv_ns
    bint is_snapshot
    bint is_known


cdef class BookCarrier(Carrier):
    cdef:
        LegState state
        int64_t update_id
        int64_t seq
        bint is_proven           # what it brought agreed with the book
        int64_t held_update_id   # of the snapshot that waits
        int64_t held_seq
        list held                # [(frame, recv_ns), ...]

    cdef bint is_next(self, BookChange change) noexcept


cdef class Arbiter(Carriers):
    cdef:
        OrderBook _book
        bint _is_contiguous
        readonly int followed        # the leg the book follows once arbitration has ended; -1 before
        # The message that began this epoch.
        int64_t _first_update_id
        int64_t _first_seq
        uint64_t _first_digest
        uint64_t _digest             # of the message being judged
        Applied[APPLIED_MAX] _applied

    cdef int begin_with(self, int leg) except -1
    cdef int _set(self, BookCarrier leg, LegState state, int64_t update_id, int64_t seq) except -1
    cdef Verdict judge(self, int leg, BookChange change, int64_t recv_ns) except *
    cdef int note(self, BookChange change, BookChange rpi_change) except -1
    cdef uint64_t _book_digest(self) except? 0
    cdef Verdict _judge_unfollowed(self, BookCarrier leg, BookChange change) except *
    cdef Verdict _judge_delta(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *
    cdef Verdict _judge_snapshot(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *
    cdef bint _is_same_snapshot(self, BookChange change) except -1
    cdef Verdict _join(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *
    cdef int _began_at(self, BookChange change) except -1
    cdef Verdict _new_epoch(self, BookCarrier leg, BookChange change) except *
    cdef Verdict _old_epoch(self, BookCarrier leg, BookChange change) except *
    cdef Verdict _fault(self, BookCarrier leg) except *
    cdef Verdict _disagreement(self, BookCarrier leg, BookChange change, const Applied* known) except *
    cdef int _note_late(self, BookCarrier leg, const Applied* known, int64_t recv_ns) except -1
    cdef bint _is_same(self, const Applied* applied, BookChange change) noexcept
    cdef Applied* _find(self, int64_t update_id) noexcept
    cdef bint _has_others(self, BookCarrier leg) except -1
    cdef int applied(self, int leg, BookChange change, int64_t recv_ns, bint is_beginning) except -1
    cdef int hold(self, int leg, BookChange change, bytes frame, int64_t recv_ns) except -1
    cdef list waiting_for_snapshot(self)
    cdef BookCarrier reached(self)
    cdef BookCarrier contradicting(self)
    cdef BookCarrier next_waiting(self)
    cdef list release(self, BookCarrier leg)
    cdef int end(self, int differing) except -1
