"""The topics of one dispatcher and what each needs to remember, found by the bytes of a frame's topic."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.backfill cimport Hole
from ext.book cimport OrderBook
from ext.fixed cimport POW10

cdef enum:
    SLOTS_MIN = 64

cdef int64_t _NO_PRICE = -0x7FFFFFFFFFFFFFFF


cdef inline uint64_t _hash(const char* text, Py_ssize_t size) noexcept nogil:
    """Eight bytes a step; symbols are short and not chosen by an adversary who gains from collisions."""
    cdef:
        uint64_t value = <uint64_t>size * 0x9E3779B97F4A7C15ULL
        uint64_t word

    while size >= 8:
        memcpy(&word, text, 8)
        value = (value ^ word) * 0xFF51AFD7ED558CCDULL
        value ^= value >> 32
        text += 8
        size -= 8
    if size:
        word = 0
        memcpy(&word, text, size)
        value = (value ^ word) * 0xFF51AFD7ED558CCDULL
        value ^= value >> 32
    return value


cdef class Topic:
    """State of one subscribed topic; owned by the dispatcher."""

    def __init__(self, str name, str symbol, str interval=""):
        self.name = name
        self.symbol = symbol
        self.interval = interval
        self._key = name.encode()
        self.is_strict = True
        self.kind = TOPIC_STREAM
        self.legs = []
        self.leg = LEG_NONE

    cdef Hole hole(self):
        """What a backfill may fill; None for topics that have none."""
        return self.trades if self.trades is not None else self.klines

    cdef int heard(self, int64_t recv_ns) except -1:
        """A message of a stream came."""
        self.last_recv_ns = recv_ns
        self.is_heard = True
        if self.first_recv_ns == 0:
            self.first_recv_ns = recv_ns
        return 0

    cdef int tell_more(self) except -1:
        self.has_more = (
            bool(self.peers) or self.splice is not None or self.audit is not None or self.book.rpi is not None
        )
        return 0

    cdef int join(self, int leg) except -1:
        """Carried by this leg too, from now on."""
        self.removed = False
        if leg not in self.legs:
            self.legs.append(leg)
        self.leg = leg if len(self.legs) == 1 else LEG_NONE
        return 0

    cdef int part(self, int leg) except -1:
        """Carried by this leg no more."""
        if leg in self.legs:
            self.legs.remove(leg)
        self.leg = self.legs[0] if len(self.legs) == 1 else LEG_NONE
        return 0

    cdef bint is_new_bbo(self) noexcept:
        """Whether the best levels differ by value from those at the last call; remembers them."""
        cdef:
            OrderBook book = self.book
            int64_t[4] now
            int64_t price_factor, size_factor
            bint same = False

        now[0] = now[1] = now[2] = now[3] = _NO_PRICE
        if book._bids.end > book._bids.start:
            now[0] = book._bids.keys[book._bids.end - 1]
            now[1] = book._bids.sizes[book._bids.end - 1]
        if book._asks.end > book._asks.start:
            now[2] = book._asks.keys[book._asks.end - 1]
            now[3] = book._asks.sizes[book._asks.end - 1]
        if self.bbo_price_scale == book.price_scale and self.bbo_size_scale == book.size_scale:
            same = now[0] == self.bbo[0] and now[1] == self.bbo[1] and now[2] == self.bbo[2] and now[3] == self.bbo[3]
        elif 0 <= self.bbo_price_scale <= book.price_scale and self.bbo_size_scale <= book.size_scale:
            price_factor = POW10[book.price_scale - self.bbo_price_scale]
            size_factor = POW10[book.size_scale - self.bbo_size_scale]
            same = (
                _is_scaled(now[0], self.bbo[0], price_factor)
                and _is_scaled(now[1], self.bbo[1], size_factor)
                and _is_scaled(now[2], self.bbo[2], price_factor)
                and _is_scaled(now[3], self.bbo[3], size_factor)
            )
        memcpy(self.bbo, now, sizeof(now))
        self.bbo_price_scale = book.price_scale
        self.bbo_size_scale = book.size_scale
        return not same


cdef inline bint _is_scaled(int64_t now, int64_t before, int64_t factor) noexcept nogil:
    if before == _NO_PRICE or now == _NO_PRICE:
        return before == now
    return now == before * factor


cdef class TopicTable:
    """An open-addressing hash table, topic bytes to Topic, that makes no Python object to look one up."""

    def __cinit__(self):
        self.by_name = {}
        self._mask = SLOTS_MIN - 1
        self._slots = <Slot*>PyMem_RawCalloc(SLOTS_MIN, sizeof(Slot))
        if self._slots == NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_RawFree(self._slots)

    cdef Topic find(self, const char* name, Py_ssize_t size):
        cdef:
            uint64_t value = _hash(name, size)
            size_t at = value & self._mask
            Slot* slot

        while True:
            slot = &self._slots[at]
            if slot.topic == NULL:
                return None
            if slot.hash == value and slot.size == size and memcmp(slot.key, name, size) == 0:
                return <Topic>slot.topic
            at = (at + 1) & self._mask

    cdef int add(self, Topic topic) except -1:
        """Keep a topic that is not there yet."""
        self.by_name[topic.name] = topic
        if 2 * <size_t>len(self.by_name) > self._mask:
            return self._grow()
        _place(self._slots, self._mask, topic)
        return 0

    cdef int _grow(self) except -1:
        cdef:
            size_t mask = 2 * self._mask + 1
            Slot* slots = <Slot*>PyMem_RawCalloc(mask + 1, sizeof(Slot))
            Topic topic

        if slots == NULL:
            raise MemoryError()
        for topic in self.by_name.values():
            _place(slots, mask, topic)
        PyMem_RawFree(self._slots)
        self._slots = slots
        self._mask = mask
        return 0


cdef void _place(Slot* slots, size_t mask, Topic topic) noexcept:
    cdef:
        const char* key = PyBytes_AS_STRING(topic._key)
        Py_ssize_t size = PyBytes_GET_SIZE(topic._key)
        uint64_t value = _hash(key, size)
        size_t at = value & mask

    while slots[at].topic != NULL:
        at = (at + 1) & mask
    slots[at] = Slot(hash=value, key=key, size=size, topic=<void*>topic)
