"""Topics of several legs that are no books: one leg leads, or, where messages have an identity, the first wins."""

from libc.stdint cimport int64_t, uint64_t

from ext.carriers cimport Carrier, Carriers


cdef class Leader(Carriers):
    """Messages without an identity: those of one leg are delivered, those of the others heard."""

    cdef int elect(self, Carrier carrier, int64_t recv_ns) except -1:
        """This leg is in step; it leads where none does."""
        Carriers.elect(self, carrier, recv_ns)
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
        if self.leader is None:
            self.delivered = None
        return 0

    cdef bint is_settled(self) except -1:
        cdef Carrier carrier
        for carrier in self.carriers:
            if carrier.owed or self.delivered is not None:
                return False
        return True

    cdef bint heard(self, int leg, str content, int64_t recv_ns) except -1:
        """A message came; whether it is to be delivered. `content` (or None) is what would be lost without it."""
        cdef Carrier carrier = self.of(leg)
        cdef Carrier other
        self.elect(carrier, recv_ns)
        if content is None:
            return carrier is self.leader
        if _strike(carrier.owed, content):
            carrier.since_ns = 1  # what this leg brings joins what the leader told
            return False
        if carrier is not self.leader:
            _remember(carrier.undelivered, content)
            return False
        carrier.owed = []  # it is past whatever it has not brought
        for other in self.carriers:
            if other is not carrier and not _strike(other.undelivered, content):
                _remember(other.owed, content)
        return True


cdef bint _strike(list contents, str content) except -1:
    """Take a content and those before it off a list; whether it was there."""
    if content not in contents:
        return False
    del contents[:contents.index(content) + 1]
    return True


cdef int _remember(list contents, str content) except -1:
    contents.append(content)
    del contents[:-<Py_ssize_t>UNDELIVERED_MAX]
    return 0


cdef class TradeLegs(Carriers):
    """Trades: known by their ids, whichever leg brings them."""

    def __cinit__(self):
        self._known = {}

    cdef bint is_settled(self) except -1:
        # The leg that is left may still bring what others have brought.
        return not self.carriers

    cdef bint is_first(self, Carrier carrier, uint64_t digest, int64_t time_ms, int64_t recv_ns) except -1:
        """Whether no leg has brought this trade; remembers it."""
        brought_ns = self._known.get(digest)
        if brought_ns is not None:
            carrier.counts.was_late(recv_ns - <int64_t>brought_ns)
            carrier.since_ns = min(carrier.since_ns, <int64_t>brought_ns)
            return False
        if len(self._known) >= <Py_ssize_t>SHARED_TRADES_MAX:
            del self._known[next(iter(self._known))]
        self._known[digest] = recv_ns
        self.last_ms = max(self.last_ms, time_ms)
        carrier.counts.wins += 1
        return True
