"""Legs: books that more than one leg carries. What the verdicts of ``ext.arbiter`` lead to; docs/feed.md has the rules.

A topic of one leg never comes here: `Topic.shared` is None.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from ext.arbiter cimport (
    ALONE,
    APPLY,
    BROKEN,
    DIFFERS,
    DUPLICATE,
    HELD,
    JOINED,
    LATE,
    REPEAT,
    UNFOLLOWED,
    UNSYNCED,
    Arbiter,
    BookCarrier,
    Verdict,
)
from ext.book cimport BookState, OrderBook
from ext.carriers cimport Carrier, Carriers
from ext.change cimport BookChange
from ext.continuity cimport Continuity
from ext.lateness cimport LegCounts
from ext.listener cimport Control, Listener
from ext.topics cimport TOPIC_BOOK, TOPIC_TICKER, Topic

# Faults of what one leg brought; any other is of the book, however many legs carry it.
cdef frozenset _LEG_FAULTS = frozenset(("sequence", "restart", "malformed"))


cdef class Legs(Continuity):
    """The books of a category, of which some are carried by several legs."""

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        Continuity.__init__(self, category, listener, control=control, rules=rules)
        self._leg_counts = {}

    def legs(self):
        """One dict a leg that carries or carried a topic, by number.

        `topics` it carries and how many of them it has `in_step`; of those it shared with other legs: `wins` (messages,
        trades that it brought first), `late` (those it brought after another leg) with `late_ns_sum`, `late_ns_max` and
        `late_histogram` ({below this many ns: how often}), `held` (ahead of the book, waited), `mismatches`,
        `unfollowed` (after arbitration had ended).
        """
        cdef Topic topic
        cdef LegCounts counts
        for topic in self._topics.by_name.values():
            for leg in topic.legs:
                self._counts_of(leg)
        found = {}
        for counts in self._leg_counts.values():
            found[counts.leg] = {"topics": 0, "in_step": 0, **counts.as_dict()}
        for topic in self._topics.by_name.values():
            for leg in topic.legs:
                found[leg]["topics"] += 1
                found[leg]["in_step"] += self._has_in_step(topic, leg)
        return [found[leg] for leg in sorted(found)]

    def behind(self):
        """Legs in step whose last message of a book another leg has passed: [(topic, leg, its last u), ...]."""
        cdef Topic topic
        cdef BookCarrier carrier
        return [
            (topic.name, carrier.leg, carrier.update_id)
            for topic in self._topics.by_name.values()
            if topic.shared is not None and topic.kind == TOPIC_BOOK and topic.splice is None
            for carrier in topic.shared.carriers
            if carrier.in_step and carrier.update_id < topic.book.update_id
        ]

    def _has_in_step(self, Topic topic, int leg):
        if topic.shared is not None:
            return topic.shared.of(leg).in_step
        return self._is_good(topic)

    cdef bint _is_good(self, Topic topic) except -1:
        """Whether the one leg of a topic has it in step."""
        if topic.kind == TOPIC_BOOK:
            return topic.book.state == BookState.LIVE
        if topic.kind == TOPIC_TICKER:
            return topic.fields is not None
        return topic.is_heard

    cdef LegCounts _counts_of(self, int leg):
        counts = self._leg_counts.get(leg)
        if counts is None:
            counts = self._leg_counts[leg] = LegCounts(leg)
        return counts

    # -- which legs carry a topic

    cdef int _join(self, Topic topic, int leg) except -1:
        if leg in topic.legs:
            return 0
        topic.join(leg)
        if len(topic.legs) > 1:
            if topic.shared is None:
                topic.shared = self._share(topic)
            topic.shared.add(self._counts_of(leg))
        return 0

    cdef Carriers _share(self, Topic topic):
        """What is to be known of the legs of a topic that has had only one until now."""
        cdef int first = topic.legs[0]
        cdef Arbiter arbiter
        if topic.kind != TOPIC_BOOK or topic.splice is not None:
            return None
        arbiter = Arbiter(topic.book)
        arbiter.add(self._counts_of(first))
        arbiter.begin_with(first)
        return arbiter

    cdef int _part(self, Topic topic, int leg) except -1:
        cdef bint was_in_step
        if topic.shared is not None and leg in topic.legs:
            was_in_step = topic.shared.of(leg).in_step
            topic.part(leg)
            if was_in_step and topic.legs:
                self._lose(topic, "removed", "caller", topic.last_recv_ns, "removed from the last leg that was in step")
            topic.shared.remove(leg)
            self._unshare(topic)
        return topic.part(leg)

    cdef int _unshare(self, Topic topic) except -1:
        """With one leg left, forget about legs as soon as that one has all that the others brought.

        Of a full book nobody knows when that is.
        """
        if not topic.legs or (len(topic.legs) < 2 and topic.splice is None and topic.shared.is_settled()):
            topic.shared = None
        return 0

    # -- losing

    cdef bint _leave(self, Topic topic) except -1:
        if topic.shared is None:
            return False
        topic.shared.put_out(self._leg)
        return topic.shared.is_in_step()

    cdef bint _has_another(self, Topic topic) except -1:
        return topic.shared is not None and topic.shared.has_another(self._leg)

    cdef bint _lose(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        cdef:
            Arbiter arbiter
            BookCarrier leg
            list unasked

        if topic.shared is None:
            return Continuity._lose(self, topic, cause, fault, start_ns, detail, missing)
        arbiter = <Arbiter>topic.shared
        leg = arbiter.of(self._leg)
        if leg is not None and leg.in_step and leg.update_id < topic.book.update_id:
            # What is missing comes after what the other legs brought.
            start_ns = min(start_ns, topic.last_recv_ns)
        if self._leave(topic):
            return False
        leg = arbiter.next_waiting()
        if leg is not None:
            self._carry_on(topic, leg, cause, fault, topic.last_recv_ns, detail)
            return False
        unasked = arbiter.waiting_for_snapshot()
        Continuity._lose(self, topic, cause, fault, start_ns, detail, missing)
        self._ask_on(topic, unasked)
        return True

    cdef int _forget(self, Topic topic) except -1:
        if topic.shared is not None:
            topic.shared.put_all_out()
        return Continuity._forget(self, topic)

    cdef int _break(self, Topic topic, str cause, str detail, int64_t missing=-1) except -1:
        cdef list others
        # The legs of a full book cannot make up for each other: whatever breaks it, it begins anew.
        if topic.shared is None or (cause in _LEG_FAULTS and topic.splice is None):
            return Continuity._break(self, topic, cause, detail, missing)
        others = [leg for leg in topic.legs if leg != self._leg]
        topic.shared.put_all_out()
        Continuity._break(self, topic, cause, detail, missing)
        return self._ask_on(topic, others)

    cdef int _ask_on(self, Topic topic, list legs) except -1:
        """Ask for a snapshot on each of these legs."""
        cdef int present = self._leg
        for leg in legs:
            self._leg = leg
            self._ask_snapshot(topic)
        self._leg = present
        return 0

    # -- books

    cdef int _take_book(self) except -1:
        cdef Topic topic = self._topic()
        if topic is None:
            return 0
        self._counts.book_messages += 1
        if topic.shared is not None:
            return self._arbitrate(topic, self._recv_ns)
        return self._take_alone(topic)

    cdef int _arbitrate(self, Topic topic, int64_t recv_ns) except -1:
        """A book message received at `recv_ns` on the present leg, now or a while ago."""
        cdef:
            Arbiter arbiter = <Arbiter>topic.shared
            BookChange change = self._decoder.change
            bint is_snapshot = change.is_snapshot
            bint was_live = topic.book.state == BookState.LIVE
            bint was_in_step = arbiter.of(self._leg).in_step
            Verdict verdict

        arbiter.note(change, None if topic.book.rpi is None else self._decoder.rpi_change)
        verdict = arbiter.judge(self._leg, change, recv_ns)
        if verdict == APPLY or verdict == ALONE:
            self._take_shared(topic, recv_ns, verdict == ALONE)
        elif verdict == LATE:
            self._counts.late += 1
        elif verdict == DUPLICATE:
            self._counts.duplicates += 1
        elif verdict == REPEAT:
            self._counts.repeats += 1
            topic.last_recv_ns = self._recv_ns
        elif verdict == UNSYNCED:
            self._counts.dropped_unsynced += 1
        elif verdict == HELD:
            self._hold(topic, recv_ns)
        elif verdict == BROKEN:
            self._break(topic, "sequence", f"u={change.update_id} does not continue what this leg brought")
        elif verdict == DIFFERS:
            self._end_arbitration(topic, self._leg)
        # Whoever waits for the snapshot of this leg is told, whatever became of it.
        if is_snapshot and was_live and not was_in_step and not self._is_releasing and verdict != UNFOLLOWED:
            self._tell_sync(topic)
        if len(topic.legs) < 2 and not self._is_releasing:
            self._unshare(topic)
        return 0

    cdef int _take_shared(self, Topic topic, int64_t recv_ns, bint is_alone) except -1:
        cdef:
            OrderBook book = topic.book
            BookChange change = self._decoder.change

        book.change = None
        if is_alone:
            self._take_alone(topic)
        else:
            self._apply(topic)
        if book.change is not None and book.state == BookState.LIVE:
            (<Arbiter>topic.shared).applied(self._leg, change, recv_ns, is_alone and change.is_snapshot)
            self._go_on(topic)
        return 0

    cdef int _hold(self, Topic topic, int64_t recv_ns) except -1:
        cdef Arbiter arbiter = <Arbiter>topic.shared
        cdef BookChange change = self._decoder.change
        cdef str detail = f"u went from {topic.book.update_id} to {change.update_id}"
        arbiter.hold(self._leg, change, PyBytes_FromStringAndSize(self._frame, self._frame_size), recv_ns)
        if not arbiter.is_in_step():
            self._carry_on(topic, arbiter.next_waiting(), "snapshot", "venue", topic.last_recv_ns, detail)
        return 0

    cdef int _end_arbitration(self, Topic topic, int leg) except -1:
        cdef Arbiter arbiter = <Arbiter>topic.shared
        cdef BookCarrier differing = arbiter.of(leg)
        cdef int64_t update_id = differing.update_id
        arbiter.end(leg)
        self._counts.arbitrations_ended += 1
        return self._event(
            topic.name,
            "arbitration_ended",
            f"leg {leg} told something else than the book after u={update_id}; leg {arbiter.followed} is followed",
        )

    cdef int _go_on(self, Topic topic) except -1:
        """After the book went on: what waited for that is judged anew."""
        cdef Arbiter arbiter = <Arbiter>topic.shared
        cdef BookCarrier leg = arbiter.contradicting()
        if leg is not None:
            return self._end_arbitration(topic, leg.leg)
        leg = arbiter.reached()
        while leg is not None:
            self._release(topic, leg.leg, arbiter.release(leg))
            leg = arbiter.reached()
        return 0

    cdef int _release(self, Topic topic, int leg, list held) except -1:
        """Judge anew what a leg brought before. Callbacks carry the stamps of the record that made it possible."""
        cdef:
            int present = self._leg
            bint was_releasing = self._is_releasing
            bytes frame

        self._leg = leg
        self._is_releasing = True
        try:
            for frame, recv_ns in held:
                self._frame = PyBytes_AS_STRING(frame)
                self._frame_size = PyBytes_GET_SIZE(frame)
                self._decoder.decode(self._frame, self._frame_size)
                self._arbitrate(topic, recv_ns)
        finally:
            self._leg = present
            self._is_releasing = was_releasing
        return 0

    cdef int _carry_on(
        self, Topic topic, BookCarrier leg, str cause, str fault, int64_t start_ns, str detail
    ) except -1:
        """No leg is in step, and this one waits ahead of the book: now it is the book. A hole between is a gap."""
        cdef:
            Arbiter arbiter = <Arbiter>topic.shared
            int64_t missing = leg.held_update_id - topic.book.update_id - 1

        if missing > 0:
            self._open_gap(topic, cause, fault, start_ns, detail, missing)
        # Its snapshot is to be taken whatever it is.
        topic.book.state = BookState.STALE
        return self._release(topic, leg.leg, arbiter.release(leg))
