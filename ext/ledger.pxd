from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook
from ext.calls cimport Calls
from ext.listener cimport Control, Item, Listener
from ext.topics cimport Topic, TopicTable

cpdef enum LegLimit:
    LEGS_MAX = 1024             # legs of a category: 0 to 1023

cdef enum:
    TOPICS_MAX = 65_536         # topics kept; frames of further ones are counted as unknown
    DETAIL_CHARACTERS_MAX = 300


cdef struct Counts:
    uint64_t frames
    uint64_t book_messages
    uint64_t trade_messages
    uint64_t ticker_messages
    uint64_t kline_messages
    uint64_t liquidation_messages
    uint64_t notice_messages
    uint64_t control_messages
    uint64_t malformed
    uint64_t duplicates
    uint64_t repeats
    uint64_t dropped_unsynced
    uint64_t undesired
    uint64_t gaps
    uint64_t restarts            # gaps whose cause is one
    uint64_t absent_deletes
    uint64_t unknown_topics
    uint64_t late                # messages (trades) that another leg had brought before
    uint64_t arbitrations_ended
    uint64_t full_levels_dropped
    uint64_t answers
    uint64_t answers_refused
    uint64_t answers_unmatched
    uint64_t audits_equal
    uint64_t audits_different
    uint64_t audits_unmatched
    uint64_t backfilled
    uint64_t backfill_repeats
    uint64_t best_mismatches
    uint64_t rules_relaxed


cdef class Ledger:
    cdef:
        readonly str category
        readonly Listener listener
        Control _control
        dict _rules
        dict _scales
        dict _symbol_books   # symbol -> its plain book topics
        int _forbidden
        TopicTable _topics
        Calls _calls
        Counts _counts
        bint _busy
        # Of the frame or call under way.
        int64_t _recv_ns
        int _leg
        uint64_t _position
        uint64_t _unrecorded
        int64_t[LEGS_MAX] _leg_recv_ns

    cdef int _begin(self, int64_t recv_ns, int leg, uint64_t position) except -1
    cdef Turn _turn(self, int64_t recv_ns, int leg, uint64_t position)
    cdef Topic _named(self, str name)
    cdef int _join(self, Topic topic, int leg) except -1
    cdef int _part(self, Topic topic, int leg) except -1
    cdef int _confirm(self, Topic topic, int leg) except -1
    cdef int _make_book(self, Topic topic, str parameter) except -1
    cdef OrderBook _new_book(self, str symbol, str parameter)
    cdef int _forget(self, Topic topic) except -1
    cdef bint _leave(self, Topic topic) except -1
    cdef bint _has_another(self, Topic topic) except -1
    cdef bint _lose(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=*
    ) except -1
    cdef int _open_gap(self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=*) except -1
    cdef int _close_gap(self, Topic topic) except -1
    cdef int _note_gap(self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=*) except -1
    cdef int _event(self, str topic, str kind, str detail) except -1
    cdef int _stamp(self, Item item, Topic topic, int64_t ts_ms, int index) except -1
    cdef int _ask_snapshot(self, Topic topic) except -1
    cdef int _tell_sync(self, Topic topic) except -1


cdef class Turn:
    cdef Ledger _ledger
