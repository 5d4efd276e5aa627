"""Continuity: which book messages are applied, and what the others mean. The rules are docs/design.md's tables."""

from libc.stdint cimport int64_t, uint64_t

from ext.book cimport (
    CROSSED,
    FIT_OVERFLOW,
    FIT_WIDENED,
    LOCKED,
    NEGATIVE_PRICE,
    TOO_DEEP,
    BookState,
    Fit,
    OrderBook,
)
from ext.change cimport BookChange
from ext.decided cimport Decided
from ext.decoder cimport Decoder
from ext.ledger cimport TOPICS_MAX
from ext.listener cimport Control, Listener
from ext.topics cimport Topic

# What a book of each category can never be. Options and spreads may be crossed or locked; spreads may be negative.
cdef dict _IMPOSSIBLE = {
    "spot": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "linear": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "inverse": CROSSED | LOCKED | TOO_DEEP | NEGATIVE_PRICE,
    "option": TOO_DEEP | NEGATIVE_PRICE,
    "spread": TOO_DEEP,
}


cdef str _describe_violations(int violations):
    names = ((CROSSED, "crossed"), (LOCKED, "locked"), (TOO_DEEP, "more levels than its depth"), (NEGATIVE_PRICE, "negative price"))
    return ", ".join([name for bit, name in names if violations & bit])


cdef class Continuity(Decided):
    """The books of a category, held to the venue's counting."""

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        Decided.__init__(self, category, listener, control=control, rules=rules)
        self._forbidden = _IMPOSSIBLE[category]
        self._decoder = Decoder()

    # -- topics of frames

    cdef Topic _topic(self):
        """The topic of the decoded frame, created at first sight; None where the frame is not wanted."""
        cdef Topic topic = self._topics.find(self._decoder.topic, self._decoder.topic_size)
        if topic is None:
            if len(self._topics.by_name) >= TOPICS_MAX:
                self._counts.unknown_topics += 1
                return None
            topic = self._named(self._decoder.topic[:self._decoder.topic_size].decode())
        if topic.leg != self._leg and not self._admits(topic):
            return None
        return topic

    cdef bint _admits(self, Topic topic) except -1:
        """Whether a frame is to be taken that did not come by the one leg that carries its topic."""
        if topic.removed or (topic.is_decided and self._leg not in topic.legs):
            self._counts.undesired += 1
            return False
        self._join(topic, self._leg)
        return True

    # -- books

    cdef int _take_book(self) except -1:
        cdef Topic topic = self._topic()
        if topic is None:
            return 0
        self._counts.book_messages += 1
        return self._take_alone(topic)

    cdef int _take_alone(self, Topic topic) except -1:
        """A book message by the rules of one leg."""
        if self._decoder.change.is_snapshot:
            return self._take_snapshot(topic)
        if topic.book.state != BookState.LIVE:
            self._counts.dropped_unsynced += 1
            return 0
        return self._take_delta(topic)

    cdef int _take_snapshot(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            str hole = None
            str detail = ""
            int64_t missing = -1

        if book.state == BookState.LIVE:
            if change.update_id == book.update_id and book.depth == 1 and self._is_repeat(topic):
                self._counts.repeats += 1
                topic.last_recv_ns = self._recv_ns
                return 0
            if change.update_id == 1:
                hole = "restart"
            elif 0 < change.seq < book.seq:
                hole = "sequence"
                detail = f"seq fell from {book.seq} to {change.seq}"
            elif book.depth == 1:
                if change.update_id <= book.update_id:
                    hole = "sequence"
            elif change.update_id != book.update_id + 1:
                hole = "snapshot"
                missing = max(change.update_id - book.update_id - 1, -1)
        if hole is not None:
            if not detail:
                detail = f"u went from {book.update_id} to {change.update_id}"
            self._note_gap(topic, hole, "venue", topic.last_recv_ns, detail, missing)
        return self._apply(topic)

    cdef bint _is_repeat(self, Topic topic) except -1:
        """Whether a level-1 snapshot says what the book says: the same number of levels, all of them there."""
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            bint is_repeat = False

        if (change.bid_levels.count, change.ask_levels.count) == book.level_counts() and not change.deletes():
            # Compared as a delta is: the levels that are there must keep their values.
            change.is_snapshot = False
            is_repeat = self._fit(topic) != FIT_OVERFLOW and book.contains(change)
            change.is_snapshot = True
        return is_repeat

    cdef Fit _fit(self, Topic topic) except *:
        """Bring the book and the decoded change to common scales; wider ones are an event."""
        cdef:
            OrderBook book = topic.book
            Fit fit = book.fit(self._decoder.change)

        if fit == FIT_WIDENED and book.state != BookState.EMPTY:
            self._event(
                topic.name, "scale_widened", f"price_scale {book.price_scale}, size_scale {book.size_scale} decimals"
            )
        return fit

    cdef int _take_delta(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change

        if change.update_id == book.update_id + 1 and (change.seq >= book.seq or change.seq == 0):
            return self._apply(topic)
        if change.update_id == 1:
            return self._break(topic, "restart", f"delta with u=1 after u={book.update_id}")
        if 0 < change.seq < book.seq:
            return self._break(topic, "sequence", f"seq fell from {book.seq} to {change.seq}")
        if change.update_id == book.update_id:
            if self._fit(topic) != FIT_OVERFLOW and book.contains(change):
                self._counts.duplicates += 1
                topic.last_recv_ns = self._recv_ns
                return 0
            return self._break(topic, "sequence", f"u={change.update_id} came twice with different content")
        detail = f"u went from {book.update_id} to {change.update_id}"
        if change.update_id < book.update_id:
            return self._break(topic, "sequence", detail)
        if topic.is_strict:
            return self._break(topic, "sequence", detail, change.update_id - book.update_id - 1)
        self._note_gap(topic, "sequence", "venue", topic.last_recv_ns, detail, change.update_id - book.update_id - 1)
        return self._apply(topic)

    cdef int _apply(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            uint64_t absent_deletes = book.absent_deletes
            int violations
            bint was_live = book.state == BookState.LIVE

        if self._fit(topic) == FIT_OVERFLOW:
            return self._break(topic, "integrity", "a number needs more than 18 digits at the scale of the book")
        book.apply(change)
        self._counts.absent_deletes += book.absent_deletes - absent_deletes
        violations = book.violations() & self._forbidden
        if violations:
            return self._break(topic, "integrity", _describe_violations(violations))
        book.recv_ns = topic.last_recv_ns = self._recv_ns
        book.position = self._position
        book.leg = self._leg
        book.state = BookState.LIVE
        if change.is_snapshot:
            if topic.gap is not None:
                self._close_gap(topic)
            # Level 1 is nothing but snapshots: only the one that was waited for is worth a Python call.
            if not was_live:
                self._tell_sync(topic)
        return self._call_book(topic)

    cdef int _call_book(self, Topic topic) except -1:
        cdef OrderBook book = topic.book
        book.change = self._decoder.change
        self._calls.book(book)
        if self._calls.takes_bbos and topic.is_new_bbo():
            self._calls.bbo(book)
        return 0

    cdef int _break(self, Topic topic, str cause, str detail, int64_t missing=-1) except -1:
        """The book cannot be trusted from here on: STALE, a gap, and a call for a new snapshot."""
        cdef int64_t start_ns = topic.last_recv_ns if topic.book.state == BookState.LIVE else self._recv_ns
        self._lose(topic, cause, "venue", start_ns, detail, missing)
        return self._ask_snapshot(topic)
