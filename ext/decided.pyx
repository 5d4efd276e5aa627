"""Decided: what timers, answers and the network decided about legs and topics, and what becomes of books and gaps."""

from libc.stdint cimport int64_t, uint64_t

from ext.audit cimport Audit
from ext.backfill cimport KlineMemory, TradeMemory
from ext.book cimport BookState
from ext.ledger cimport Ledger
from ext.topics cimport TOPIC_BOOK, TOPIC_STREAM, Topic


cdef class Decided(Ledger):
    """A ``Ledger`` that obeys decisions. See engine/decisions.py: each kind of record leads to one of these calls."""

    cpdef connected(self, int leg, int64_t recv_ns, uint64_t position=0):
        """A connection of this category opened."""
        with self._turn(recv_ns, leg, position):
            self._event("", "connected", "")

    cpdef disconnected(self, int leg, int64_t recv_ns, uint64_t position=0, str cause="disconnect", str detail=""):
        """The connection of a leg is gone: its books turn STALE, a gap opens for each of its topics.

        The gaps start at the last frame of that leg: what came after it is not known; that of a topic that had nothing
        yet, where it was wanted. A topic that another leg has in step loses nothing.
        """
        cdef Topic topic
        cdef int64_t start_ns
        with self._turn(recv_ns, leg, position):
            start_ns = self._leg_recv_ns[leg] or recv_ns
            for topic in self._carried(leg):
                had_nothing = topic.last_recv_ns == 0 and not topic.is_heard and topic.wanted_ns != 0
                self._lose(topic, cause, "network", topic.wanted_ns if had_nothing else start_ns, detail)
            self._event("", "disconnected", detail)

    cpdef ended(self, int leg, int64_t recv_ns, uint64_t position=0):
        """The connection of a leg was closed on purpose: its books turn STALE, no gap opens.

        Nothing was lost until now; what is missing from now on, the next start tells by `lost`. A topic that another
        leg carries goes on by that one, as if it were removed from this one.
        """
        cdef Topic topic
        with self._turn(recv_ns, leg, position):
            for topic in self._carried(leg):
                if self._has_another(topic):
                    self._lose(topic, "removed", "caller", topic.last_recv_ns, "ended on purpose")
                else:
                    self._forget(topic)
            self._event("", "closed", "ended on purpose")

    cpdef desired(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """These topics are wanted on a leg from now on; on the other legs that carry them they stay."""
        cdef Topic topic
        with self._turn(recv_ns, leg, position):
            for name in topics:
                topic = self._named(name)
                topic.is_decided = True
                if not topic.legs:
                    topic.wanted_ns = recv_ns
                self._join(topic, leg)

    cpdef confirmed(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """The venue confirmed these subscriptions. Ends the gap of a topic that sends no snapshot."""
        cdef Topic topic
        with self._turn(recv_ns, leg, position):
            for name in topics:
                topic = self._named(name)
                if _concerns(topic, leg) and (topic.kind == TOPIC_STREAM or topic.splice is not None):
                    self._confirm(topic, leg)
                if topic.kind == TOPIC_STREAM and _concerns(topic, leg):
                    self._close_gap(topic)
                self._event(name, "confirmed", "")

    cpdef removed(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """These topics are not wanted on a leg any more: later frames of theirs are dropped and counted.

        Where it was their last leg an open gap ends, and an event tells: a rotation is not the end of a topic.
        """
        cdef Topic topic
        with self._turn(recv_ns, leg, position):
            for name in topics:
                topic = self._named(name)
                topic.is_decided = True
                self._part(topic, leg)
                if not topic.legs:
                    self._remove(topic)
                    self._event(name, "removed", "")

    cpdef lost(
        self, topics, int64_t start_ns, int64_t recv_ns, str cause, str fault, int leg=ALL_LEGS, uint64_t position=0,
        str detail=""
    ):
        """Data of these topics is missing from `start_ns` on: books turn STALE and a gap of the given cause opens.

        `topics` None: of all that are wanted. Those that are not wanted any more lose nothing. `leg` -1: on all legs;
        else a topic that another leg has in step loses nothing either.
        """
        cdef Topic topic
        with self._turn(recv_ns, max(leg, 0), position):
            if topics is None:
                topics = [topic.name for topic in self._carried(leg)]
            for name in topics:
                topic = self._named(name)
                if topic.removed:
                    continue
                if leg != ALL_LEGS and not _concerns(topic, leg):
                    continue
                if leg == ALL_LEGS:
                    self._forget(topic)
                    self._open_gap(topic, cause, fault, start_ns, detail)
                else:
                    self._lose(topic, cause, fault, start_ns, detail)

    cpdef audit(self, topics, int64_t recv_ns, int leg=0, uint64_t position=0):
        """An answer of REST is being asked for: checksums of these books are kept until it comes (`rest`)."""
        cdef Topic topic
        with self._turn(recv_ns, leg, position):
            for name in topics:
                topic = self._named(name)
                if topic.kind == TOPIC_BOOK and topic.book.state == BookState.LIVE:
                    topic.audit = Audit()
                    topic.audit.note(topic.book)
                    topic.tell_more()

    cpdef noted(self, str kind, str topic, str detail, int64_t recv_ns, int leg=0, uint64_t position=0):
        """Something happened that frames do not tell (a listing, a clock step, a rotation): an event."""
        with self._turn(recv_ns, leg, position):
            self._event(topic, kind, detail)

    cdef list _carried(self, int leg):
        """The wanted topics of a leg, or all of them."""
        cdef Topic topic
        if leg == ALL_LEGS:
            return [topic for topic in self._topics.by_name.values() if not topic.removed]
        return [topic for topic in self._topics.by_name.values() if leg in topic.legs]

    cdef int _remove(self, Topic topic) except -1:
        self._close_gap(topic)
        self._forget(topic)
        topic.removed = True
        topic.first_recv_ns = topic.last_recv_ns = 0
        if topic.kind == TOPIC_BOOK:
            topic.book = self._new_book(topic.symbol, topic.name.split(".", 2)[1])
        elif topic.trades is not None:
            topic.trades = TradeMemory()
        elif topic.klines is not None:
            topic.klines = KlineMemory()
        return 0


cdef bint _concerns(Topic topic, int leg) except -1:
    """Whether what is decided on a leg concerns the topic: not where another leg alone was told to carry it."""
    return not topic.is_decided or leg in topic.legs
