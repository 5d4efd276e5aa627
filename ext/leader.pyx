"""Topics of several legs that are no books: one leg leads, or, where messages have an identity, the first wins."""

from collections import deque

from libc.stdint cimport int64_t, uint64_t

from ext.carriers cimport Carrier, Carriers


cdef class Leader(Carriers):
    """Messages without an identity: those of one leg are delivered, those of the others heard."""

    def __cinit__(self):
        self._told = deque(maxlen=UNDELIVERED_MAX)

    cdef int elect(self, Carrier carrier) except -1:
        """This leg is in step; it leads where none does."""
        carrier.in_step = True
        if self.leader is None:
            self.leader = carrier
        return 0

    cdef bint is_led_by(self, int leg) except -1:
        return self.leader is not None and self.leader.leg == leg

    cdef int put_out(self, int leg) except -1:
        cdef Carrier carrier
        Carriers.put_out(self, leg)
        if self.is_led_by(leg):
            self.leader = None
            for carrier in self.carriers:
                if carrier.in_step:
                    self.leader = carrier
                    break
        return 0

    cdef bint is_settled(self) except -1:
        return self.delivered is None

    cdef bint heard(self, int leg, str content) except -1:
        """A message came; whether it is to be delivered. `content` (or None) is what would be lost without it."""
        cdef Carrier carrier = self.of(leg)
        cdef Carrier other
        self.elect(carrier)
        if carrier is not self.leader:
            if content is not None and content not in self._told:
                carrier.undelivered.append(content)
                del carrier.undelivered[:-<Py_ssize_t>UNDELIVERED_MAX]
            return False
        if content is not None:
            self._told.append(content)
            for other in self.carriers:
                if content in other.undelivered:
                    del other.undelivered[:other.undelivered.index(content) + 1]
        return True


cdef class TradeLegs(Carriers):
    """Trades: known by their ids, whichever leg brings them."""

    def __cinit__(self):
        self._known = {}

    cdef bint is_first(self, Carrier carrier, uint64_t digest, int64_t recv_ns) except -1:
        """Whether no leg has brought this trade; remembers it."""
        brought_ns = self._known.get(digest)
        if brought_ns is not None:
            carrier.counts.was_late(recv_ns - <int64_t>brought_ns)
            return False
        if len(self._known) >= <Py_ssize_t>SHARED_TRADES_MAX:
            del self._known[next(iter(self._known))]
        self._known[digest] = recv_ns
        carrier.counts.wins += 1
        return True
