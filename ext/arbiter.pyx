"""Arbiter: one book by several legs. Says what a message of one leg means to the book that all of them carry.

It reads the book, remembers the digests of what was applied, and changes nothing but itself; what a verdict leads to is
``ext.legs``'s. While the book is LIVE at least one leg is in step, and none that is in step is ahead of the book.
docs/feed.md has the rules.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from ext.book cimport BookState, OrderBook
from ext.carriers cimport Carrier, Carriers
from ext.change cimport BookChange
from ext.digest cimport book_digest, change_digest


# A message of two books is told from one of the same books the other way round.
cdef uint64_t RPI = 0x9E3779B97F4A7C15ULL


cdef inline bint _falls(int64_t seq, int64_t last) noexcept nogil:
    """A `seq` that is absent (0) proves nothing."""
    return 0 < seq < last


cdef class BookCarrier(Carrier):
    """What one leg of a book has told: its own counting, and what waits for the book."""

    def __cinit__(self):
        self.held = []

    cdef bint is_next(self, BookChange change) noexcept:
        return change.update_id == self.update_id + 1 and not _falls(change.seq, self.seq)


cdef class Arbiter(Carriers):
    """The legs of one book."""

    def __init__(self, OrderBook book):
        self._book = book
        self._is_contiguous = book.depth != 1
        self.followed = -1

    cdef Carrier _new(self):
        return BookCarrier()

    cdef int begin_with(self, int leg) except -1:
        """The book is as that leg, until now its only one, has told it."""
        cdef BookCarrier carrier = self.of(leg)
        cdef OrderBook book = self._book
        if book.state == BookState.LIVE:
            # What the book says now is known, not the message that led to it.
            self._first_update_id = book.update_id
            self._first_seq = book.seq
            self._first_digest = self._book_digest()
            self._applied[book.update_id & (APPLIED_MAX - 1)] = Applied(
                update_id=book.update_id,
                seq=book.seq,
                digest=self._first_digest,
                recv_ns=book.recv_ns,
                is_snapshot=True,
                is_known=True,
            )
            self._set(carrier, IN_STEP, book.update_id, book.seq)
            carrier.is_proven = True
        return 0

    cdef int _set(self, BookCarrier leg, LegState state, int64_t update_id, int64_t seq) except -1:
        leg.state = state
        leg.in_step = state == IN_STEP
        leg.update_id = update_id
        leg.seq = seq
        if state != WAITING:
            leg.held = []
        if state != IN_STEP:
            leg.is_proven = False
        return 0

    cdef int put_out(self, int leg) except -1:
        cdef BookCarrier carrier = self.of(leg)
        if carrier is not None:
            self._set(carrier, OUT, 0, 0)
        return 0

    cdef bint has_another(self, int leg) except -1:
        cdef BookCarrier other
        for other in self.carriers:
            if other.leg != leg and other.state != OUT:
                return True
        return False

    cdef bint is_settled(self) except -1:
        cdef BookCarrier leg
        for leg in self.carriers:
            if leg.state == WAITING or (leg.in_step and leg.update_id != self._book.update_id):
                return False
        return True

    # -- judging

    cdef int note(self, BookChange change, BookChange rpi_change) except -1:
        """What the message that is judged next says: of level 1 without `seq`, of which a repeat may have another."""
        self._digest = change_digest(change, change.seq if self._is_contiguous else 0)
        if rpi_change is not None:
            self._digest += RPI * change_digest(rpi_change, 0)
        return 0

    cdef uint64_t _book_digest(self) except? 0:
        cdef uint64_t digest = book_digest(self._book, self._book.seq if self._is_contiguous else 0)
        if self._book.rpi is not None:
            digest += RPI * book_digest(self._book.rpi, 0)
        return digest

    cdef Verdict judge(self, int leg, BookChange change, int64_t recv_ns) except *:
        """What the noted message means. `applied` is to be called after it was."""
        cdef BookCarrier carrier = self.of(leg)
        if self._book.state != BookState.LIVE:
            if self.followed >= 0 and change.is_snapshot:
                self.followed = leg
            return ALONE
        if self.followed >= 0:
            return ALONE if self.followed == leg else self._judge_unfollowed(carrier, change)
        if change.is_snapshot:
            return self._judge_snapshot(carrier, change, recv_ns)
        return self._judge_delta(carrier, change, recv_ns)

    cdef Verdict _judge_unfollowed(self, BookCarrier leg, BookChange change) except *:
        leg.counts.unfollowed += 1
        if change.is_snapshot and leg.state == OUT:
            self._set(leg, PAST, change.update_id, change.seq)
            return UNSYNCED
        return UNFOLLOWED

    cdef Verdict _judge_delta(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *:
        cdef:
            OrderBook book = self._book
            int64_t update_id = change.update_id
            bint is_next = leg.is_next(change)
            Applied* known

        if leg.state == OUT:
            return UNSYNCED
        if leg.state != IN_STEP and update_id == leg.update_id and change.seq == leg.seq:
            return DUPLICATE
        if leg.state == WAITING:
            return HELD if is_next and len(leg.held) < <Py_ssize_t>HELD_MAX else BROKEN
        known = self._find(update_id)
        if leg.state == PAST:
            if known != NULL and change.seq and known.seq == change.seq and self._is_same(known, change):
                # It was only behind what the book began with.
                self._set(leg, IN_STEP, update_id, change.seq)
                self._note_late(leg, known, recv_ns)
                return LATE
            if not is_next or change.seq == 0 or change.seq >= self._first_seq:
                return BROKEN
            self._set(leg, PAST, update_id, change.seq)
            return UNSYNCED
        if update_id == 1 or _falls(change.seq, leg.seq) or update_id > book.update_id + 1:
            return self._fault(leg)
        if update_id == book.update_id + 1:
            if leg.update_id == book.update_id and not _falls(change.seq, book.seq):
                return APPLY
            return self._fault(leg)
        if update_id <= leg.update_id:
            if update_id == leg.update_id and change.seq == leg.seq and (known == NULL or self._is_same(known, change)):
                return DUPLICATE
            return self._fault(leg)
        if known == NULL and not is_next:
            return self._fault(leg)
        if known != NULL and not self._is_same(known, change):
            return self._disagreement(leg, change, known)
        self._set(leg, IN_STEP, update_id, change.seq)
        self._note_late(leg, known, recv_ns)
        return LATE

    cdef int _note_late(self, BookCarrier leg, const Applied* known, int64_t recv_ns) except -1:
        if known != NULL:
            leg.is_proven = True
            leg.counts.was_late(recv_ns - known.recv_ns)
        return 0

    cdef Verdict _judge_snapshot(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *:
        cdef:
            OrderBook book = self._book
            int64_t update_id = change.update_id
            bint is_older = _falls(change.seq, book.seq)
            # What is later than the book and counted lower is of another counting, whatever it says.
            bint is_restarted = change.seq > book.seq and update_id < book.update_id
            bint continues_itself = leg.state == IN_STEP and update_id > leg.update_id

        if leg.state == WAITING:
            if leg.is_next(change) and len(leg.held) < <Py_ssize_t>HELD_MAX:
                return HELD
            self._set(leg, OUT, 0, 0)
        if update_id == 1 and (is_restarted or self._first_update_id != 1 or self._first_digest != self._digest):
            if not is_older:
                return self._new_epoch(leg, change)
            if self._first_update_id == 1 and change.seq < self._first_seq:
                return self._old_epoch(leg, change)
            self._began_at(change)
        if update_id <= book.update_id:
            if not is_restarted and self._is_same_snapshot(change):
                return self._join(leg, change, recv_ns)
            if change.seq > book.seq and not continues_itself:
                return self._new_epoch(leg, change)
            return self._disagreement(leg, change, self._find(update_id))
        if is_older:
            return self._disagreement(leg, change, NULL)
        if not self._is_contiguous or (leg.state == IN_STEP and leg.update_id == book.update_id == update_id - 1):
            return APPLY
        return HELD if self._has_others(leg) else ALONE

    cdef bint _is_same_snapshot(self, BookChange change) except -1:
        """Whether a snapshot of an `u` that the book had says what it said then, as far as that is known."""
        cdef Applied* known = self._find(change.update_id)
        if change.update_id == self._book.update_id:
            return self._digest == self._book_digest()
        if known == NULL:
            return change.seq <= self._book.seq
        return self._is_same(known, change)

    cdef Verdict _join(self, BookCarrier leg, BookChange change, int64_t recv_ns) except *:
        cdef:
            Applied* known = self._find(change.update_id)
            bint was_in_step = leg.state == IN_STEP
            int64_t last = leg.update_id

        self._set(leg, IN_STEP, change.update_id, change.seq)
        leg.is_proven = leg.is_proven or known != NULL
        if was_in_step and change.update_id == last:
            return DUPLICATE if self._is_contiguous or last != self._book.update_id else REPEAT
        if not was_in_step or change.update_id < last:
            return JOINED
        self._note_late(leg, known, recv_ns)
        return LATE

    cdef int _began_at(self, BookChange change) except -1:
        """The message that began the book's counting, heard of only now: what came before it was of another."""
        cdef int index
        for index in range(<int>APPLIED_MAX):
            if self._applied[index].seq < change.seq:
                self._applied[index].is_known = False
        self._first_update_id = change.update_id
        self._first_seq = change.seq
        self._first_digest = self._digest
        return 0

    cdef Verdict _new_epoch(self, BookCarrier leg, BookChange change) except *:
        """What the other legs count on is over; each needs its own snapshot, if it does not wait with that already."""
        cdef BookCarrier other
        for other in self.carriers:
            if other is leg or other.state == OUT:
                continue
            if other.state != WAITING or other.held_seq <= change.seq or other.held_update_id <= change.update_id:
                self._set(other, PAST, other.update_id, other.seq)
        return ALONE

    cdef Verdict _old_epoch(self, BookCarrier leg, BookChange change) except *:
        """Something from before the present counting: it never replaces a book that another leg keeps in step."""
        if not self._has_others(leg):
            return ALONE
        self._set(leg, PAST, change.update_id, change.seq)
        return UNSYNCED

    cdef Verdict _fault(self, BookCarrier leg) except *:
        return BROKEN if self._has_others(leg) else ALONE

    cdef Verdict _disagreement(self, BookCarrier leg, BookChange change, const Applied* known) except *:
        """Not what the book had. A leg that never agreed with it may just be behind, in an older counting."""
        cdef bint is_other_content = known != NULL and known.seq == change.seq
        cdef bint is_behind = _falls(change.seq, self._first_seq) or (known != NULL and _falls(change.seq, known.seq))
        if not is_other_content and (is_behind or not leg.is_proven):
            return self._old_epoch(leg, change)
        return DIFFERS if self.is_in_step_without(leg.leg) else self._fault(leg)

    cdef bint _has_others(self, BookCarrier leg) except -1:
        """Whether the book can go on without this leg."""
        cdef BookCarrier other
        for other in self.carriers:
            if other is not leg and (other.state == IN_STEP or other.state == WAITING):
                return True
        return False

    cdef bint _is_same(self, const Applied* known, BookChange change) noexcept:
        if self._is_contiguous and known.seq and change.seq and known.seq != change.seq:
            return False
        # A snapshot and a delta of the same `u` cannot be compared by their levels.
        return known.is_snapshot != change.is_snapshot or known.digest == self._digest

    cdef Applied* _find(self, int64_t update_id) noexcept:
        cdef Applied* known = &self._applied[update_id & (APPLIED_MAX - 1)]
        return known if known.is_known and known.update_id == update_id else NULL

    # -- what became of it

    cdef int applied(self, int leg, BookChange change, int64_t recv_ns, bint is_beginning) except -1:
        """The message judged last is in the book. `is_beginning`: what was known before says nothing about it."""
        cdef BookCarrier carrier = self.of(leg)
        if is_beginning:
            memset(self._applied, 0, sizeof(self._applied))
            self._first_update_id = change.update_id
            self._first_seq = change.seq
            self._first_digest = self._digest
        self._applied[change.update_id & (APPLIED_MAX - 1)] = Applied(
            update_id=change.update_id,
            seq=change.seq,
            digest=self._digest,
            recv_ns=recv_ns,
            is_snapshot=change.is_snapshot,
            is_known=True,
        )
        self._set(carrier, IN_STEP, change.update_id, change.seq)
        carrier.is_proven = True
        carrier.counts.wins += 1
        return 0

    cdef int hold(self, int leg, BookChange change, bytes frame, int64_t recv_ns) except -1:
        """Keep a message that was judged HELD."""
        cdef BookCarrier carrier = self.of(leg)
        if carrier.state != WAITING:
            carrier.held_update_id = change.update_id
            carrier.held_seq = change.seq
        self._set(carrier, WAITING, change.update_id, change.seq)
        carrier.held.append((frame, recv_ns))
        carrier.counts.held += 1
        return 0

    cdef list waiting_for_snapshot(self):
        """The legs that were told nothing of a new snapshot and need one, now that no leg is in step."""
        cdef BookCarrier leg
        if self.followed >= 0:
            return [leg.leg for leg in self.carriers if leg.leg != self.followed]
        return [leg.leg for leg in self.carriers if leg.state == PAST]

    cdef BookCarrier reached(self):
        """A waiting leg to whose snapshot the book has come up, or None."""
        cdef BookCarrier leg
        for leg in self.carriers:
            if leg.state == WAITING and self._book.update_id >= leg.held_update_id:
                return leg
        return None

    cdef BookCarrier contradicting(self):
        """A waiting leg that counts otherwise than the book: its `seq` is passed and its `u` is not; or None."""
        cdef BookCarrier leg
        for leg in self.carriers:
            if leg.state == WAITING and self._book.update_id < leg.held_update_id and _falls(leg.held_seq, self._book.seq):
                return leg
        return None

    cdef BookCarrier next_waiting(self):
        """The leg that is to carry the book on when none is in step: the one whose snapshot misses least; or None."""
        cdef BookCarrier leg, first = None
        for leg in self.carriers:
            if leg.state == WAITING and (first is None or leg.held_update_id < first.held_update_id):
                first = leg
        return first

    cdef list release(self, BookCarrier leg):
        """The messages of a leg that waits no more; it is out of step until they are judged anew."""
        cdef list held = leg.held
        self._set(leg, OUT, 0, 0)
        return held

    cdef int end(self, int differing) except -1:
        """Arbitration is over: the leg that the book came by is followed, and where that is gone the most advanced."""
        cdef BookCarrier leg = self.of(differing)
        cdef BookCarrier best = self.of(self._book.leg)
        leg.counts.mismatches += 1
        if best is None or not best.in_step:
            best = None
            for leg in self.carriers:
                if leg.in_step and leg.leg != differing and (best is None or leg.update_id > best.update_id):
                    best = leg
        self.followed = best.leg
        for leg in self.carriers:
            if leg is not best:
                self._set(leg, OUT, 0, 0)
        return 0
