"""The legs of a topic that more than one leg carries, and which of them have it in step."""

from libc.stdint cimport int64_t

from ext.lateness cimport LegCounts


cdef class Carrier:
    """What one leg of one topic has told."""

    def __cinit__(self):
        self.undelivered = []
        self.owed = []


cdef class Carriers:
    """The legs of one topic, in the order told."""

    def __cinit__(self):
        self.carriers = []

    cdef Carrier _new(self):
        return Carrier()

    cdef Carrier of(self, int leg):
        """The carrier of that number; None where the leg does not carry the topic."""
        cdef Carrier carrier
        for carrier in self.carriers:
            if carrier.leg == leg:
                return carrier
        return None

    cdef Carrier add(self, LegCounts counts):
        cdef Carrier carrier = self.of(counts.leg)
        if carrier is None:
            carrier = self._new()
            carrier.leg = counts.leg
            carrier.counts = counts
            self.carriers.append(carrier)
        return carrier

    cdef int remove(self, int leg) except -1:
        cdef Carrier carrier = self.of(leg)
        if carrier is not None:
            self.put_out(leg)
            self.carriers.remove(carrier)
        return 0

    cdef int elect(self, Carrier carrier, int64_t recv_ns) except -1:
        """This leg has the topic in step, if not before then from now on."""
        if not carrier.in_step:
            carrier.in_step = True
            carrier.since_ns = recv_ns
        return 0

    cdef int64_t since_ns(self) except? -1:
        """From when on a leg that has the topic in step has it so; 0 where none has."""
        cdef Carrier carrier
        cdef int64_t since_ns = 0
        for carrier in self.carriers:
            if carrier.in_step and (since_ns == 0 or carrier.since_ns < since_ns):
                since_ns = carrier.since_ns
        return since_ns

    cdef bint is_in_step(self) except -1:
        return self.is_in_step_without(-1)

    cdef bint is_in_step_without(self, int leg) except -1:
        cdef Carrier carrier
        for carrier in self.carriers:
            if carrier.in_step and carrier.leg != leg:
                return True
        return False

    cdef bint has_another(self, int leg) except -1:
        """Whether a leg besides this one has told anything by which the topic could go on."""
        return self.is_in_step_without(leg)

    cdef int put_out(self, int leg) except -1:
        """This leg does not have the topic in step any more."""
        cdef Carrier carrier = self.of(leg)
        if carrier is not None:
            carrier.in_step = False
            carrier.fields = None
            carrier.undelivered = []
        return 0

    cdef int put_all_out(self) except -1:
        cdef Carrier carrier
        for carrier in self.carriers:
            self.put_out(carrier.leg)
        return 0

    cdef bint is_settled(self) except -1:
        """Whether the one leg that is left needs nothing that is known here."""
        return True
