"""Led: topics that are no arbitrated books, on several legs. One leg leads; of trades the first arrival wins, by id."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from ext.book cimport BookState, OrderBook
from ext.carriers cimport Carrier, Carriers
from ext.change cimport BookChange
from ext.continuity cimport Continuity
from ext.decoder cimport Decoder
from ext.digest cimport text_digest
from ext.lateness cimport LegCounts
from ext.leader cimport Leader, TradeLegs
from ext.legs cimport Legs
from ext.topics cimport TOPIC_TICKER, Topic


cdef class Led(Legs):
    """``Legs`` for topics of every kind."""

    cdef Carriers _share(self, Topic topic):
        cdef Carriers shared = Legs._share(self, topic)
        cdef Carrier first
        if shared is None:
            shared = Leader() if topic.trades is None else TradeLegs()
            first = shared.add(self._counts_of(topic.legs[0]))
            if self._is_good(topic):
                shared.elect(first, 1)  # long ago
        return shared

    cdef int _confirm(self, Topic topic, int leg) except -1:
        if topic.splice is not None:
            return self._confirm_full(topic, leg)
        if topic.shared is not None and leg in topic.legs:
            topic.shared.elect(topic.shared.of(leg), self._recv_ns)
        return Legs._confirm(self, topic, leg)

    cdef int _confirm_full(self, Topic topic, int leg) except -1:
        """Another leg of a LIVE book is in step: its changes go on where those of the leading leg end."""
        if topic.shared is not None and leg in topic.legs and topic.book.state == BookState.LIVE:
            topic.shared.elect(topic.shared.of(leg), self._recv_ns)
            self._tell_sync(topic)
        return 0

    # -- losing

    cdef bint _lose(
        self, Topic topic, str cause, str fault, int64_t start_ns, str detail, int64_t missing=-1
    ) except -1:
        if isinstance(topic.shared, Leader):
            return self._lose_leader(topic, cause, fault, start_ns, detail)
        if isinstance(topic.shared, TradeLegs):
            return self._lose_trades(topic, cause, fault, start_ns, detail)
        return Legs._lose(self, topic, cause, fault, start_ns, detail, missing)

    cdef bint _lose_trades(self, Topic topic, str cause, str fault, int64_t start_ns, str detail) except -1:
        cdef Carrier leg = topic.shared.of(self._leg)
        cdef bint was_in_step = leg is not None and leg.in_step
        if not self._leave(topic):
            return Continuity._lose(self, topic, cause, fault, start_ns, detail)
        if was_in_step and self._is_between(topic, cause, start_ns):
            self._note_gap(topic, cause, fault, start_ns, detail)
        return False

    cdef bint _is_between(self, Topic topic, str cause, int64_t start_ns) except -1:
        """Whether the present leg fell silent before another one was in step: what was sent between, none brought.

        A leg that is left on purpose was heard until then, and a ticker begins with all that it is.
        """
        return cause != "removed" and topic.kind != TOPIC_TICKER and start_ns < topic.shared.since_ns()

    cdef bint _lose_leader(self, Topic topic, str cause, str fault, int64_t start_ns, str detail) except -1:
        """The next leg leads. What only that one told while the old one was silent was not delivered: that is a gap."""
        cdef Leader legs = <Leader>topic.shared
        cdef bint was_leader = legs.is_led_by(self._leg)
        cdef Carrier leader
        cdef Py_ssize_t missed
        legs.put_out(self._leg)
        leader = legs.leader
        if leader is None:
            return Continuity._lose(self, topic, cause, fault, start_ns, detail)
        if not was_leader:
            return False
        if topic.splice is not None:
            if topic.book.state == BookState.LIVE:
                return False
            # It is begun by an answer of REST, which whoever leads is asked for.
            self._forget(topic)
            legs.elect(leader, self._recv_ns)
            self._open_gap(topic, cause, fault, start_ns, detail)
            self._ask_on(topic, [leader.leg])
            return True
        if topic.kind == TOPIC_TICKER:
            if legs.delivered is None:
                legs.delivered = topic.fields
            topic.fields = leader.fields
            return False
        missed = len(leader.undelivered)
        leader.undelivered = []
        if missed:
            detail = f"{missed} messages came by leg {leader.leg} only, while leg {self._leg} led; {detail}"
        is_between = self._is_between(topic, cause, start_ns)
        if missed or is_between:
            self._note_gap(topic, cause, fault, start_ns, detail, -1 if is_between else missed)
        return False

    cdef bint _is_missed(self, Topic topic) except -1:
        """Whether what the present leg failed to bring is missing: no other leg makes up for it."""
        if topic.shared is None:
            return True
        if isinstance(topic.shared, Leader):
            return (<Leader>topic.shared).is_led_by(self._leg)
        return not topic.shared.is_in_step_without(self._leg)

    # -- messages of shared topics

    cdef bint _leads(self, Topic topic, str content) except -1:
        """Whether a message is to be delivered. `content`: what would be lost with it, or None."""
        cdef bint is_led = (<Leader>topic.shared).heard(self._leg, content, self._recv_ns)
        if len(topic.legs) < 2:
            self._unshare(topic)
        return is_led

    cdef bint _leads_full(self, Topic topic) except -1:
        """Whether the decoded delta of a full book is to be taken: the first arrival that continues it, else the leader's."""
        cdef:
            BookChange change = self._decoder.change
            OrderBook book = topic.book
            bint was_in_step = topic.shared.of(self._leg).in_step
            bint leads = self._leads(topic, None)
            bint is_live = book.state == BookState.LIVE

        if is_live and not leads and not was_in_step:
            self._tell_sync(topic)
        if is_live and 1 < change.update_id <= book.update_id and change.seq <= book.seq:
            self._counts.late += 1
            return False
        if leads or (is_live and change.update_id == book.update_id + 1):
            return True
        self._counts.undesired += 1
        return False

    cdef int _tell_followers(self, Topic topic) except -1:
        """A full book has begun: that concerns all legs that were heard, not only the one that leads."""
        cdef int present = self._leg
        cdef Carrier carrier
        for carrier in topic.shared.carriers:
            if carrier.in_step and carrier.leg != present:
                self._leg = carrier.leg
                self._tell_sync(topic)
        self._leg = present
        return 0

    cdef bint _leads_ticker(self, Topic topic) except -1:
        """Whether a ticker is to be delivered; where not it is merged with what its own leg told."""
        cdef:
            Leader legs = <Leader>topic.shared
            Carrier carrier = legs.of(self._leg)
            bint was_in_step = carrier.in_step
            dict data = self._decoder.data
            dict changed

        if self._decoder.is_snapshot:
            legs.elect(carrier, self._recv_ns)
        elif not was_in_step:
            self._counts.dropped_unsynced += 1
            return False
        if carrier is legs.leader:
            if legs.delivered is not None and not self._decoder.is_snapshot:
                # What the leader before had told otherwise has changed too.
                changed = {name: text for name, text in topic.fields.items() if legs.delivered.get(name) != text}
                self._decoder.data = {**changed, **data}
            legs.delivered = None
            if len(topic.legs) < 2:
                self._unshare(topic)
            return True
        carrier.fields = dict(data) if self._decoder.is_snapshot else {**carrier.fields, **data}
        if not was_in_step:
            self._tell_sync(topic)
        return False

    cdef Py_ssize_t _drop_late(self, Topic topic, Py_ssize_t count) except -1:
        """Leave those of the decoded trades that no other leg brought; how many are left, in order."""
        cdef:
            TradeLegs legs = <TradeLegs>topic.shared
            Carrier carrier = legs.of(self._leg)
            Decoder decoder = self._decoder
            Py_ssize_t index
            Py_ssize_t kept = 0
            int64_t last_ms = legs.last_ms
            uint64_t digest
            bytes symbol

        legs.elect(carrier, self._recv_ns)
        for index in range(count):
            digest = 0
            if decoder.symbols is not None:
                symbol = (<str>decoder.symbols[index]).encode()
                digest = text_digest(0, PyBytes_AS_STRING(symbol), PyBytes_GET_SIZE(symbol))
            digest = text_digest(digest, decoder.trades[index].trade_id, decoder.trades[index].trade_id_size)
            if legs.is_first(carrier, digest, decoder.trades[index].time_ms, self._recv_ns):
                decoder.trades[kept] = decoder.trades[index]
                if decoder.symbols is not None:
                    decoder.symbols[kept] = decoder.symbols[index]
                kept += 1
        self._counts.late += count - kept
        if kept and len(topic.legs) < 2 and decoder.trades[0].time_ms > last_ms:
            topic.shared = None  # the leg that is left is past all that others have brought
        return kept
