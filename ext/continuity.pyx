"""Continuity: which book messages are applied, and what the others mean. The rules are docs/design.md's tables."""

from libc.stdint cimport int64_t, uint64_t

from ext.audit cimport AUDIT_EQUAL, AUDIT_OPEN, AUDIT_UNMATCHED, Audit, Verdict
from ext.book cimport (
    CROSSED,
    FIT_OVERFLOW,
    FIT_WIDENED,
    LOCKED,
    NEGATIVE_PRICE,
    PLAIN,
    TOO_DEEP,
    BookState,
    Fit,
    OrderBook,
    have_same_best,
)
from ext.change cimport BookChange
from ext.decided cimport Decided
from ext.decoder cimport Decoder
from ext.ledger cimport TOPICS_MAX
from ext.listener cimport Control, Listener
from ext.splice cimport FULL_LEVELS_MAX
from ext.topics cimport Topic

cdef str _describe_violations(int violations):
    names = ((CROSSED, "crossed"), (LOCKED, "locked"), (TOO_DEEP, "more levels than its depth"), (NEGATIVE_PRICE, "negative price"))
    return ", ".join([name for bit, name in names if violations & bit])


cdef class Continuity(Decided):
    """The books of a category, held to the venue's counting."""

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        Decided.__init__(self, category, listener, control=control, rules=rules)
        self._decoder = Decoder()
        self._confirmations = {}
        self._contradicted = set()

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
            return self._follow(topic) if topic.shadow is not None else 0
        return self._take_delta(topic)

    cdef int _take_snapshot(self, Topic topic) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            str hole = None
            str detail = ""
            int64_t missing = -1

        if book.state == BookState.LIVE:
            if change.update_id == book.update_id and self._is_repeat(topic):
                if book.depth == 1:
                    self._counts.repeats += 1
                else:
                    self._counts.duplicates += 1
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
        """Whether a snapshot says what the book says: the same number of levels, all of them there."""
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change
            bint is_repeat = False

        # Only level 1 repeats itself with another `seq`.
        if book.depth != 1 and (change.seq != book.seq or change.seq == 0 or book.rpi is not None):
            return False
        if (change.bid_levels.count, change.ask_levels.count) == book.level_counts():
            # Compared as a delta is: the levels that are there must keep their values.
            change.is_snapshot = False
            is_repeat = self._fit(topic) != FIT_OVERFLOW and change.is_plain_book() and book.contains(change)
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
            if self._says_the_same(topic):
                self._counts.duplicates += 1
                topic.last_recv_ns = self._recv_ns
                return 0
            return self._break(topic, "sequence", f"u={change.update_id} came twice with different content")
        detail = f"u went from {book.update_id} to {change.update_id}"
        if change.update_id < book.update_id:
            return self._break(topic, "sequence", detail)
        if topic.is_strict:
            return self._break_by_jump(topic, detail)
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
        violations = book.violations() & topic.forbidden
        if violations:
            return self._break(topic, "integrity", _describe_violations(violations))
        if topic.has_more and not self._apply_more(topic):
            return 0
        book.recv_ns = topic.last_recv_ns = self._recv_ns
        book.position = self._position
        book.leg = self._leg
        book.state = BookState.LIVE
        if change.is_snapshot:
            if topic.gap is not None:
                self._close_gap(topic)
            # Level 1 is nothing but snapshots: only the one that was waited for is worth a Python call.
            if not was_live:
                if topic.shadow is not None:
                    self._judge_shadow(topic)
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

    # -- books that need more than the rest

    cdef bint _says_the_same(self, Topic topic) except -1:
        """Whether the decoded delta would change nothing."""
        cdef OrderBook rpi = topic.book.rpi
        if self._fit(topic) == FIT_OVERFLOW or not topic.book.contains(self._decoder.change):
            return False
        if rpi is None:
            return True
        return rpi.fit(self._decoder.rpi_change) != FIT_OVERFLOW and rpi.contains(self._decoder.rpi_change)

    cdef bint _apply_more(self, Topic topic) except -1:
        """After the change was applied: whether the book is still good."""
        cdef OrderBook book = topic.book
        cdef Topic peer
        if book.rpi is not None and not self._apply_rpi(topic):
            return False
        if topic.splice is not None:
            self._counts.full_levels_dropped += book.trim(FULL_LEVELS_MAX)
        if topic.peers is not None and book.seq:
            for peer in topic.peers:
                if peer.book.seq == book.seq and peer.book.state == BookState.LIVE and not have_same_best(book, peer.book):
                    return self._break_both(topic, peer)
        if topic.audit is not None:
            topic.audit.note(book)
            return self._conclude(topic)
        return True

    cdef bint _apply_rpi(self, Topic topic) except -1:
        cdef OrderBook rpi = topic.book.rpi
        cdef int violations
        if rpi.fit(self._decoder.rpi_change) == FIT_OVERFLOW:
            self._break(topic, "integrity", "a number needs more than 18 digits at the scale of the book")
            return False
        rpi.apply(self._decoder.rpi_change)
        # Sizes that cross are hidden by the venue, not impossible.
        violations = rpi.violations() & (TOO_DEEP | NEGATIVE_PRICE)
        if violations:
            self._break(topic, "integrity", _describe_violations(violations))
            return False
        rpi.recv_ns = self._recv_ns
        rpi.position = self._position
        rpi.leg = self._leg
        rpi.state = BookState.LIVE
        rpi.change = self._decoder.rpi_change
        return True

    cdef bint _break_both(self, Topic topic, Topic peer) except -1:
        cdef str detail = f"best prices of {topic.name} and {peer.name} differ at seq {topic.book.seq}"
        self._counts.best_mismatches += 1
        cdef int present = self._leg
        self._break(topic, "integrity", detail)
        self._leg = peer.legs[0]
        self._break(peer, "integrity", detail)
        self._leg = present
        return False

    cdef bint _conclude(self, Topic topic) except -1:
        """What an audit found, if it is over; whether the book is still good."""
        cdef Audit audit = topic.audit
        cdef Verdict verdict = audit.verdict()
        if verdict == AUDIT_OPEN:
            return True
        topic.audit = None
        topic.tell_more()
        if verdict == AUDIT_EQUAL:
            self._counts.audits_equal += 1
            self._event(topic.name, "audited", f"equal at u={audit.answer_u}")
        elif verdict == AUDIT_UNMATCHED:
            self._counts.audits_unmatched += 1
            what = f"no message of u={audit.answer_u} to compare with" if audit.answer_u else "no answer came"
            self._event(topic.name, "audited", what)
        else:
            self._counts.audits_different += 1
            self._break(topic, "audit", f"REST has another book at u={audit.answer_u}")
            return False
        return True

    # -- storms: where jumps of `u` turn out to lose nothing, they are rows and no more

    cdef int _break_by_jump(self, Topic topic, str detail) except -1:
        cdef OrderBook book = topic.book
        cdef BookChange change = self._decoder.change
        cdef OrderBook shadow = book.copy() if book.kind_code == PLAIN else None
        self._break(topic, "sequence", detail, change.update_id - book.update_id - 1)
        topic.shadow = shadow
        return self._follow(topic) if shadow is not None else 0

    cdef int _follow(self, Topic topic) except -1:
        """Apply a delta to the shadow, as if it lost nothing; what shows that something was lost ends it."""
        cdef OrderBook shadow = topic.shadow
        cdef BookChange change = self._decoder.change
        if change.update_id <= shadow.update_id or shadow.fit(change) == FIT_OVERFLOW:
            topic.shadow = None
            return 0
        shadow.apply(change)
        if shadow.violations() & topic.forbidden:
            topic.shadow = None
            self._contradicted.add(shadow.depth)
        return 0

    cdef int _judge_shadow(self, Topic topic) except -1:
        """A snapshot came: where it is of the shadow's moment, it says whether the jump lost anything."""
        cdef OrderBook book = topic.book
        cdef OrderBook shadow = topic.shadow
        cdef Topic other
        topic.shadow = None
        if book.update_id != shadow.update_id and (not book.seq or book.seq != shadow.seq):
            return 0
        if book.checksum() != shadow.checksum():
            self._contradicted.add(book.depth)
            return 0
        self._confirmations[book.depth] = self._confirmations.get(book.depth, 0) + 1
        if self._confirmations[book.depth] < CONFIRMATIONS_MIN or book.depth in self._contradicted or not topic.is_strict:
            return 0
        self._rules[book.depth] = "warn"
        for other in self._topics.by_name.values():
            if other.book is not None and other.book.kind_code == PLAIN and other.book.depth == book.depth:
                other.is_strict = False
        self._counts.rules_relaxed += 1
        return self._event("", "rule_relaxed", f"orderbook.{book.depth}: jumps of u lose nothing, they are gap rows from now on")
