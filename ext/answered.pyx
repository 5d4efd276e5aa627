"""Answered: what answers of REST do: they begin full books, audit books, and fill gaps of trades and candles.

An answer is asked for elsewhere and arrives as a call, which is recorded: what it does is the same in a replay.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from ext.answers cimport read_answer, read_book, read_klines, read_trades
from ext.audit cimport Audit
from ext.backfill cimport Hole, KlineMemory, TradeMemory, is_hole
from ext.book cimport FIT_OVERFLOW, BookState, OrderBook
from ext.change cimport BookChange
from ext.led cimport Led
from ext.decoded cimport BOOK_FULL, TradeFields
from ext.decoder cimport Decoder
from ext.ledger cimport DETAIL_CHARACTERS_MAX
from ext.listener cimport Control, Kline, Listener, Trade
from ext.splice cimport FULL_LEVELS_MAX, MATCH_LATER, MATCH_NONE, Splice
from ext.topics cimport Topic


cdef class Answered(Led):
    """``Led`` that also takes answers of REST."""

    def __init__(self, str category, Listener listener, *, Control control=None, rules=None):
        Led.__init__(self, category, listener, control=control, rules=rules)
        self._trade = Trade()
        self._trade.category = category

    cpdef rest(self, str use, str topic, body, int64_t recv_ns, int leg=0, uint64_t position=0):
        """Take an answer of REST (text, bytes or decoded) about a topic.

        `use`: "full_book", "audit", "trades" or "kline"; others mean nothing here. An answer that is none is an event
        `answer_refused`; one about a topic that is not wanted, or that nobody waits for, is counted.
        """
        cdef Topic known
        with self._turn(recv_ns, leg, position):
            known = self._topics.by_name.get(topic)
            if use not in _USES:
                return
            self._counts.answers += 1
            if known is None or known.removed or not _USES[use](known):
                self._counts.answers_unmatched += 1
                return
            if known.legs and leg not in known.legs:
                self._leg = known.legs[0]  # whoever is asked for more, is asked where the topic comes from
            try:
                result, time_ms = read_answer(body)
                answer = self._read(use, known, result)
            except (KeyError, TypeError, ValueError) as error:
                self._counts.answers_refused += 1
                self._event(topic, "answer_refused", f"{use}: {error!r}"[:DETAIL_CHARACTERS_MAX])
                if use == "full_book":
                    self._ask_snapshot(known)
                return
            if use == "full_book":
                known.splice.answer = answer
                self._try_splice(known)
            elif use == "audit":
                known.audit.answered(answer)
                self._conclude(known)
            elif use == "trades":
                self._fill_trades(known, answer, time_ms)
            else:
                self._fill_klines(known, answer, time_ms or recv_ns // 1_000_000)

    def holes(self):
        """What gaps that are over left behind and no answer has filled: [(topic, from_ms, until_ms), ...].

        In the venue's time; `until_ms` is -1 where nothing came since. Topics in a gap that is still open are not in it.
        """
        cdef Topic topic
        cdef Hole hole
        found = []
        for topic in self._topics.by_name.values():
            hole = topic.hole()
            if is_hole(hole) and topic.gap is None and not topic.removed:
                found.append((topic.name, hole.from_ms, hole.until_ms))
        return found

    cdef object _read(self, str use, Topic topic, dict result):
        """What the answer holds, and nothing done yet."""
        cdef OrderBook book
        cdef BookChange change
        if use == "trades":
            return read_trades(self._decoder, result)
        if use == "kline":
            return read_klines(topic, result)
        change = read_book(result, topic.symbol)
        if use == "full_book":
            return change
        book = OrderBook(self.category, topic.symbol, topic.book.depth)
        if book.fit(change) == FIT_OVERFLOW:
            raise ValueError("a number needs more than 18 digits at the scale of the book")
        book.apply(change)
        return book

    # -- full books

    cdef int _take_full(self, const char* frame, Py_ssize_t size) except -1:
        cdef Topic topic = self._topic()
        if topic is None:
            return 0
        self._counts.book_messages += 1
        if topic.shared is not None and not self._leads_full(topic):
            return 0
        if topic.book.state == BookState.LIVE:
            self._take_delta(topic)
            if topic.book.state == BookState.LIVE:
                return 0
            topic.splice.is_asked = True  # whatever broke the book has asked
        asks = topic.splice.keep(self._decoder.change, frame[:size])
        if topic.splice.answer is not None:
            return self._try_splice(topic)
        return self._ask_snapshot(topic) if asks else 0

    cdef int _try_splice(self, Topic topic) except -1:
        """Begin the book where its answer meets the deltas that wait; ask for another one where it never will."""
        cdef Splice splice = topic.splice
        cdef Py_ssize_t matched = splice.match()
        cdef OrderBook book
        if matched == MATCH_LATER:
            return 0
        if matched == MATCH_NONE:
            splice.answer = None
            self._counts.answers_unmatched += 1
            return self._ask_snapshot(topic)
        book = self._spliced(topic, matched)
        splice.clear()
        if book is None:
            return self._break(topic, "integrity", "a number needs more than 18 digits at the scale of the book")
        # One message to everybody, as if the venue sent whole books.
        book.write_change(self._decoder.change)
        self._apply(topic)
        return self._tell_followers(topic) if topic.shared is not None else 0

    cdef OrderBook _spliced(self, Topic topic, Py_ssize_t matched):
        """The answer with the deltas after it; None where a number does not fit."""
        cdef OrderBook book = self._new_book(topic.symbol, "full")
        cdef BookChange answer = topic.splice.answer
        cdef BookChange change = self._decoder.change
        cdef Py_ssize_t at
        cdef bytes frame
        if book.fit(answer) == FIT_OVERFLOW:
            return None
        book.apply(answer)
        for at in range(matched + 1, len(topic.splice.frames)):
            frame = topic.splice.frames[at]
            self._decoder.decode(frame, len(frame))
            if book.fit(change) == FIT_OVERFLOW:
                return None
            book.apply(change)
        self._counts.full_levels_dropped += book.trim(FULL_LEVELS_MAX)
        return book

    # -- backfill

    cdef int _fill_trades(self, Topic topic, Py_ssize_t count, int64_t time_ms) except -1:
        cdef TradeMemory memory = topic.trades
        cdef Decoder decoder = self._decoder
        cdef bint reaches_back = memory.reaches_back(decoder.trades, count)
        count = memory.take_missing(decoder.trades, decoder.symbols, count)
        memory.filled()
        decoder.ts_ms = time_ms
        self._trade.is_backfill = True
        try:
            self._deliver_trades(topic, count)
        finally:
            self._trade.is_backfill = False
        return self._tell_filled(topic, count, "trades", reaches_back)

    cdef int _fill_klines(self, Topic topic, list klines, int64_t time_ms) except -1:
        cdef KlineMemory memory = topic.klines
        cdef Kline kline
        cdef list missing = []
        cdef bint reaches_back = bool(klines) and klines[0].start_ms <= memory.from_ms
        for kline in klines:
            if kline.end_ms < time_ms and memory.wants(kline.start_ms, kline.end_ms):
                memory.note([kline])
                missing.append(kline)
        memory.filled()
        self._deliver_items(topic, missing, time_ms)
        return self._tell_filled(topic, len(missing), "candles", reaches_back)

    cdef int _tell_filled(self, Topic topic, Py_ssize_t count, str what, bint reaches_back) except -1:
        self._counts.backfilled += count
        reach = "back to the start of the gap" if reaches_back else "not back to the start of the gap"
        return self._event(topic.name, "backfilled", f"{count} {what}, {reach}")

    # -- deliveries

    cdef int _deliver_trades(self, Topic topic, Py_ssize_t count) except -1:
        """Call with each decoded trade."""
        cdef:
            Decoder decoder = self._decoder
            Trade trade = self._trade
            list symbols = decoder.symbols
            int64_t ts_ms = decoder.ts_ms
            TradeFields* fields
            Py_ssize_t index

        for index in range(count):
            fields = &decoder.trades[index]
            trade.symbol = topic.symbol if symbols is None else <str>symbols[index]
            trade.price_mantissa = fields.price
            trade.price_scale = fields.price_scale
            trade.size_mantissa = fields.size
            trade.size_scale = fields.size_scale
            trade.is_buy = fields.is_buy
            trade.is_block = fields.is_block
            trade.is_rpi = fields.is_rpi
            trade.time_ms = fields.time_ms
            trade.ts_ms = ts_ms
            trade.seq = fields.seq
            trade.recv_ns = self._recv_ns
            trade.position = self._position
            trade.leg = self._leg
            trade.index = <int>index
            memcpy(trade._trade_id, fields.trade_id, fields.trade_id_size)
            trade._trade_id_size = fields.trade_id_size
            trade._tick_direction = fields.tick_direction
            self._calls.trade(trade)
        return 0

    cdef int _deliver_items(self, Topic topic, list items, int64_t ts_ms) except -1:
        """Stamp each item and call with it."""
        cdef int index
        for index in range(len(items)):
            self._stamp(items[index], topic, ts_ms, index)
            self._calls.item(items[index])
        return 0


def _waits_for_book(Topic topic):
    return topic.splice is not None and topic.book.state != BookState.LIVE


def _is_audited(Topic topic):
    return topic.audit is not None and topic.audit.answer_u == 0


def _misses_trades(Topic topic):
    return topic.trades is not None and is_hole(topic.trades)


def _misses_candles(Topic topic):
    return topic.klines is not None and is_hole(topic.klines)


# What an answer may be for, and whether a topic waits for it.
cdef dict _USES = {
    "full_book": _waits_for_book,
    "audit": _is_audited,
    "trades": _misses_trades,
    "kline": _misses_candles,
}
