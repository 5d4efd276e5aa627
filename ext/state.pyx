"""What a dispatcher and the columns remember, as plain values and back: for a reader that goes on where another stopped.

Plain values are None, bool, int, str, bytes, and tuples, lists and dicts of them: nothing that names a class, and
nothing that depends on where an object lies or how a set is ordered, so that equal states are equal bytes wherever they
were made. What a class remembers is named once in its `save_...` and once in its `load_...` function, in the same
order; what follows from other things (what a topic's name says, which books are peers) is made anew.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from ext.ticker_row import TickerRow

from ext.arbiter cimport APPLIED_MAX, Applied, Arbiter, BookCarrier, LegState
from ext.audit cimport Audit
from ext.backfill cimport CLOSED_CANDLES_MAX, TRADE_IDS_MAX, Hole, KlineMemory, TradeMemory
from ext.book cimport BookState, OrderBook
from ext.carriers cimport Carrier, Carriers
from ext.change cimport BookChange, Levels
from ext.columns cimport Columns, SnapshotClock
from ext.dispatch cimport Dispatcher
from ext.fixed cimport DIGITS_MAX
from ext.ladder cimport Ladder, copy_ladder
from ext.lateness cimport LATENESS_BUCKETS, LegCounts
from ext.leader cimport Leader, TradeLegs
from ext.ledger cimport LEGS_MAX
from ext.listener cimport Gap
from ext.splice cimport Splice
from ext.topics cimport LEG_NONE, TOPIC_BOOK, Topic

# Counts up whenever what is below means other values.
STATE_FORMAT = 1


def dispatcher_state(Dispatcher dispatcher not None):
    """What a dispatcher knows after the call made last, as plain values.

    They may share dicts with the dispatcher: encode them before it is fed again.

    Raises:
        RuntimeError: called from inside one of its callbacks.
    """
    if dispatcher._busy:
        raise RuntimeError("a Dispatcher has no state inside its own callback; save it after the callback returns")
    return save_dispatcher(dispatcher)


def restore_dispatcher(Dispatcher dispatcher not None, state):
    """Let a new dispatcher of the same category know what `dispatcher_state` said.

    Raises:
        ValueError: the dispatcher has been fed, or the state is of another category or no state; use another one then.
    """
    if dispatcher._counts.frames or dispatcher._topics.by_name:
        raise ValueError("a state is for a new Dispatcher; this one has been fed")
    category, *_ = state
    if category != dispatcher.category:
        raise ValueError(f"the state is of category {category!r}; the Dispatcher is of {dispatcher.category!r}")
    load_dispatcher(dispatcher, state)


def columns_state(Columns columns not None):
    """What columns know besides their rows, as plain values; see `dispatcher_state`.

    Raises:
        ValueError: rows are waiting: `take` or `clear` them.
    """
    if columns.rows:
        raise ValueError(f"{columns.rows} rows were waiting; take them before the state is saved")
    return save_columns(columns)


def restore_columns(Columns columns not None, state):
    """Let new columns know what `columns_state` said."""
    load_columns(columns, state)


# -- numbers in memory


cdef bytes raw(const void* data, size_t size):
    return PyBytes_FromStringAndSize(<const char*>data, size)


cdef int fill(void* target, bytes data, size_t size) except -1:
    """Memory of exactly that many bytes, from as many."""
    if <size_t>PyBytes_GET_SIZE(data) != size:
        raise ValueError(f"{PyBytes_GET_SIZE(data)} bytes of a state were {size} where it was saved")
    memcpy(target, PyBytes_AS_STRING(data), size)
    return 0


cdef int check_scale(int scale) except -1:
    """Scales are indexes of tables of powers."""
    if not 0 <= scale <= DIGITS_MAX:
        raise ValueError(f"a scale of a state was {scale}; it is 0 to {int(DIGITS_MAX)} decimals")
    return 0


cdef bytes whole(bytes frame):
    """A frame that was kept."""
    if frame is None:
        raise ValueError("a frame of a state was None")
    return frame


# -- books


cdef tuple save_ladder(const Ladder* ladder):
    cdef size_t size = (ladder.end - ladder.start) * sizeof(int64_t)
    if size == 0:
        return (b"", b"")
    return (raw(ladder.keys + ladder.start, size), raw(ladder.sizes + ladder.start, size))


cdef int load_ladder(Ladder* ladder, tuple state) except -1:
    cdef bytes keys, sizes
    keys, sizes = state
    cdef Py_ssize_t count = PyBytes_GET_SIZE(keys) // <Py_ssize_t>sizeof(int64_t)
    if PyBytes_GET_SIZE(sizes) != PyBytes_GET_SIZE(keys):
        raise ValueError(f"a side has {count} prices and {len(sizes)} bytes of sizes")
    cdef Ladder source = Ladder(
        keys=<int64_t*>PyBytes_AS_STRING(keys),
        sizes=<int64_t*>PyBytes_AS_STRING(sizes),
        start=0,
        end=count,
        capacity=count,
    )
    copy_ladder(ladder, &source)
    return 0


cdef tuple save_book(OrderBook book):
    return (
        <int>book.state,
        book.price_scale,
        book.size_scale,
        book._base_price_scale,
        book._base_size_scale,
        book.update_id,
        book.seq,
        book.ts_ms,
        book.cts_ms,
        book.recv_ns,
        book.position,
        book.leg,
        book.absent_deletes,
        save_ladder(&book._bids),
        save_ladder(&book._asks),
        None if book.rpi is None else save_book(book.rpi),
    )


cdef int load_book(OrderBook book, tuple state) except -1:
    cdef int book_state
    (
        book_state,
        book.price_scale,
        book.size_scale,
        book._base_price_scale,
        book._base_size_scale,
        book.update_id,
        book.seq,
        book.ts_ms,
        book.cts_ms,
        book.recv_ns,
        book.position,
        book.leg,
        book.absent_deletes,
        bids,
        asks,
        rpi,
    ) = state
    book.state = <BookState>book_state
    for scale in (book.price_scale, book.size_scale, book._base_price_scale, book._base_size_scale):
        check_scale(scale)
    load_ladder(&book._bids, bids)
    load_ladder(&book._asks, asks)
    if book.rpi is not None:
        load_book(book.rpi, rpi)
    return 0


cdef tuple save_levels(const Levels* levels):
    return (
        raw(levels.prices, levels.count * sizeof(int64_t)),
        raw(levels.sizes, levels.count * sizeof(int64_t)),
        raw(levels.price_scales, levels.count),
        raw(levels.size_scales, levels.count),
    )


cdef int load_levels(BookChange change, Levels* levels, tuple state) except -1:
    prices, sizes, price_scales, size_scales = state
    cdef Py_ssize_t count = len(price_scales)
    change.reserve(levels, count)
    fill(levels.prices, prices, count * sizeof(int64_t))
    fill(levels.sizes, sizes, count * sizeof(int64_t))
    fill(levels.price_scales, price_scales, count)
    fill(levels.size_scales, size_scales, count)
    for scale in (*price_scales, *size_scales):
        check_scale(scale)
    levels.count = count
    return 0


cdef tuple save_change(BookChange change):
    return (
        save_levels(&change.bid_levels),
        save_levels(&change.ask_levels),
        change.is_snapshot,
        change.update_id,
        change.seq,
        change.ts_ms,
        change.cts_ms,
        change.price_scale,
        change.size_scale,
        change.price_scale_min,
        change.size_scale_min,
        change.is_normalised,
    )


cdef BookChange load_change(tuple state):
    cdef BookChange change = BookChange()
    (
        bids,
        asks,
        change.is_snapshot,
        change.update_id,
        change.seq,
        change.ts_ms,
        change.cts_ms,
        change.price_scale,
        change.size_scale,
        change.price_scale_min,
        change.size_scale_min,
        change.is_normalised,
    ) = state
    for scale in (change.price_scale, change.size_scale, change.price_scale_min, change.size_scale_min):
        check_scale(scale)
    load_levels(change, &change.bid_levels, bids)
    load_levels(change, &change.ask_levels, asks)
    return change


cdef tuple save_splice(Splice splice):
    answer = None if splice.answer is None else save_change(splice.answer)
    return (splice.frames, splice._ids, splice._bytes, answer, splice.is_asked)


cdef int load_splice(Splice splice, tuple state) except -1:
    frames, ids, splice._bytes, answer, splice.is_asked = state
    splice.frames = [whole(frame) for frame in frames]
    splice._ids = [(u, seq) for u, seq in ids]
    splice.answer = None if answer is None else load_change(answer)
    return 0


cdef tuple save_audit(Audit audit):
    return (audit._sums, audit._noted, audit.answer_u, audit._answer_sum)


cdef Audit load_audit(tuple state):
    cdef Audit audit = Audit()
    sums, audit._noted, audit.answer_u, audit._answer_sum = state
    audit._sums = dict(sums)
    return audit


# -- what was seen around a gap


cdef tuple save_gap(Gap gap):
    return (
        gap.id,
        gap.category,
        gap.topic,
        gap.cause,
        gap.fault,
        gap.leg,
        gap.start_ns,
        gap.end_ns,
        gap.missing,
        gap.detail,
        gap.position,
    )


cdef Gap load_gap(tuple state):
    id, category, topic, cause, fault, leg, start_ns, end_ns, missing, detail, position = state
    return Gap(
        id=id,
        category=category,
        topic=topic,
        cause=cause,
        fault=fault,
        leg=leg,
        start_ns=start_ns,
        end_ns=end_ns,
        missing=missing,
        detail=detail,
        position=position,
    )


cdef tuple save_trade_memory(TradeMemory memory):
    cdef uint64_t kept = min(memory._noted, <uint64_t>TRADE_IDS_MAX)
    return (
        memory.from_ms,
        memory.until_ms,
        memory._noted,
        raw(memory._ids, kept * sizeof(uint64_t)),
        memory._last_ms,
        None if memory.ahead is None else sorted(memory.ahead),
        memory._ahead_until_ms,
    )


cdef int load_trade_memory(TradeMemory memory, tuple state) except -1:
    memory.from_ms, memory.until_ms, memory._noted, ids, memory._last_ms, ahead, memory._ahead_until_ms = state
    fill(memory._ids, ids, min(memory._noted, <uint64_t>TRADE_IDS_MAX) * sizeof(uint64_t))
    memory.ahead = None if ahead is None else set(ahead)
    return 0


cdef tuple save_kline_memory(KlineMemory memory):
    return (memory.from_ms, memory.until_ms, list(memory._closed), memory._last_ms)


cdef int load_kline_memory(KlineMemory memory, tuple state) except -1:
    memory.from_ms, memory.until_ms, closed, memory._last_ms = state
    memory._closed = deque(closed, maxlen=CLOSED_CANDLES_MAX)
    return 0


# -- legs


cdef tuple save_leg_counts(LegCounts counts):
    return (
        counts.leg,
        counts.wins,
        counts.late,
        counts.late_ns_sum,
        counts.late_ns_max,
        counts.mismatches,
        counts.held,
        counts.unfollowed,
        raw(counts._late_histogram, LATENESS_BUCKETS * sizeof(uint64_t)),
    )


cdef LegCounts load_leg_counts(tuple state):
    cdef LegCounts counts = LegCounts(0)
    (
        counts.leg,
        counts.wins,
        counts.late,
        counts.late_ns_sum,
        counts.late_ns_max,
        counts.mismatches,
        counts.held,
        counts.unfollowed,
        histogram,
    ) = state
    fill(counts._late_histogram, histogram, LATENESS_BUCKETS * sizeof(uint64_t))
    return counts


cdef tuple save_carrier(Carrier carrier):
    return (
        carrier.leg,
        carrier.in_step,
        carrier.since_ns,
        carrier.fields,
        carrier.undelivered,
        carrier.owed,
        save_book_carrier(carrier) if isinstance(carrier, BookCarrier) else None,
    )


cdef int load_carrier(Carrier carrier, tuple state) except -1:
    # Its counts are those of its leg: `add` has given it them.
    carrier.leg, carrier.in_step, carrier.since_ns, carrier.fields, undelivered, owed, more = state
    carrier.undelivered = list(undelivered)
    carrier.owed = list(owed)
    return load_book_carrier(carrier, more) if isinstance(carrier, BookCarrier) else 0


cdef tuple save_book_carrier(BookCarrier carrier):
    return (
        <int>carrier.state,
        carrier.update_id,
        carrier.seq,
        carrier.is_proven,
        carrier.held_update_id,
        carrier.held_seq,
        carrier.held,
    )


cdef int load_book_carrier(BookCarrier carrier, tuple state) except -1:
    cdef int leg_state
    (
        leg_state,
        carrier.update_id,
        carrier.seq,
        carrier.is_proven,
        carrier.held_update_id,
        carrier.held_seq,
        held,
    ) = state
    carrier.state = <LegState>leg_state
    carrier.held = [(whole(frame), recv_ns) for frame, recv_ns in held]
    return 0


cdef tuple save_carriers(Carriers shared):
    cdef Carrier carrier
    if isinstance(shared, Arbiter):
        more = save_arbiter(shared)
    elif isinstance(shared, Leader):
        more = save_leader(shared)
    else:
        more = save_trade_legs(shared)
    return ([save_carrier(carrier) for carrier in shared.carriers], more)


cdef Carriers load_carriers(Topic topic, dict leg_counts, tuple state):
    cdef Carriers shared
    carriers, more = state
    if topic.trades is not None:
        shared = TradeLegs()
    elif topic.kind == TOPIC_BOOK and topic.splice is None:
        shared = Arbiter(topic.book)
    else:
        shared = Leader()
    for carrier in carriers:
        leg, *_ = carrier
        load_carrier(shared.add(leg_counts[leg]), carrier)
    for leg in topic.legs:
        if shared.of(leg) is None:
            raise ValueError(f"leg {leg} of {topic.name} carries it in a state, and nothing is known of it there")
    if isinstance(shared, Arbiter):
        load_arbiter(shared, more)
    elif isinstance(shared, Leader):
        load_leader(shared, more)
    else:
        load_trade_legs(shared, more)
    return shared


cdef tuple save_arbiter(Arbiter arbiter):
    return (
        arbiter.followed,
        arbiter._first_update_id,
        arbiter._first_seq,
        arbiter._first_digest,
        raw(arbiter._applied, APPLIED_MAX * sizeof(Applied)),
    )


cdef int load_arbiter(Arbiter arbiter, tuple state) except -1:
    arbiter.followed, arbiter._first_update_id, arbiter._first_seq, arbiter._first_digest, applied = state
    return fill(arbiter._applied, applied, APPLIED_MAX * sizeof(Applied))


cdef tuple save_leader(Leader legs):
    return (None if legs.leader is None else legs.leader.leg, legs.delivered)


cdef int load_leader(Leader legs, tuple state) except -1:
    leader, legs.delivered = state
    legs.leader = None if leader is None else legs.of(leader)
    return 0


cdef tuple save_trade_legs(TradeLegs legs):
    cdef bytes known = PyBytes_FromStringAndSize(NULL, 2 * len(legs._known) * sizeof(uint64_t))
    cdef uint64_t* at = <uint64_t*>PyBytes_AS_STRING(known)
    for digest, recv_ns in legs._known.items():
        at[0] = digest
        at[1] = <uint64_t><int64_t>recv_ns
        at += 2
    return (known, legs.last_ms)


cdef int load_trade_legs(TradeLegs legs, tuple state) except -1:
    cdef bytes known
    known, legs.last_ms = state
    cdef const uint64_t* at = <const uint64_t*>PyBytes_AS_STRING(known)
    for index in range(PyBytes_GET_SIZE(known) // <Py_ssize_t>(2 * sizeof(uint64_t))):
        legs._known[at[0]] = <int64_t>at[1]
        at += 2
    return 0


# -- topics


cdef tuple save_topic(Topic topic):
    return (
        topic.name,
        None if topic.book is None else save_book(topic.book),
        topic.fields,
        None if topic.gap is None else save_gap(topic.gap),
        topic.legs,
        None if topic.shared is None else save_carriers(topic.shared),
        topic.is_decided,
        topic.removed,
        topic.is_strict,
        topic.wanted_ns,
        topic.first_recv_ns,
        topic.last_recv_ns,
        topic.is_heard,
        None if topic.splice is None else save_splice(topic.splice),
        None if topic.audit is None else save_audit(topic.audit),
        None if topic.shadow is None else save_book(topic.shadow),
        None if topic.trades is None else save_trade_memory(topic.trades),
        None if topic.klines is None else save_kline_memory(topic.klines),
        raw(topic.bbo, sizeof(topic.bbo)),
        topic.bbo_price_scale,
        topic.bbo_size_scale,
    )


cdef int load_topic(Topic topic, dict leg_counts, tuple state) except -1:
    """Into a topic that its name has made."""
    (
        _,
        book,
        topic.fields,
        gap,
        legs,
        shared,
        topic.is_decided,
        topic.removed,
        topic.is_strict,
        topic.wanted_ns,
        topic.first_recv_ns,
        topic.last_recv_ns,
        topic.is_heard,
        splice,
        audit,
        shadow,
        trades,
        klines,
        bbo,
        topic.bbo_price_scale,
        topic.bbo_size_scale,
    ) = state
    topic.legs = [<int>leg for leg in legs]
    topic.leg = topic.legs[0] if len(topic.legs) == 1 else LEG_NONE
    topic.gap = None if gap is None else load_gap(gap)
    fill(topic.bbo, bbo, sizeof(topic.bbo))
    if topic.kind == TOPIC_BOOK:
        load_book(topic.book, book)
        if shadow is not None:
            topic.shadow = OrderBook(topic.book.category, topic.symbol, topic.book.depth)
            load_book(topic.shadow, shadow)
        if splice is not None:
            load_splice(topic.splice, splice)
        topic.audit = None if audit is None else load_audit(audit)
        topic.tell_more()
    if topic.trades is not None:
        load_trade_memory(topic.trades, trades)
    if topic.klines is not None:
        load_kline_memory(topic.klines, klines)
    if shared is not None:
        topic.shared = load_carriers(topic, leg_counts, shared)
    elif len(topic.legs) > 1:
        raise ValueError(f"{topic.name} has several legs in a state, and nothing is known of them there")
    return 0


# -- dispatchers


cdef tuple save_dispatcher(Dispatcher dispatcher):
    cdef Topic topic
    cdef LegCounts counts
    cdef int leg
    return (
        dispatcher.category,
        dispatcher._rules,
        dispatcher._scales,
        dict(dispatcher._counts),
        dispatcher._calls.failures,
        dispatcher._unrecorded,
        [(leg, dispatcher._leg_recv_ns[leg]) for leg in range(<int>LEGS_MAX) if dispatcher._leg_recv_ns[leg]],
        dispatcher._decoder.fallbacks,
        dispatcher._confirmations,
        sorted(dispatcher._contradicted),
        [save_leg_counts(counts) for counts in dispatcher._leg_counts.values()],
        sorted(dispatcher._unknown_topics),
        [save_topic(topic) for topic in dispatcher._topics.by_name.values()],
    )


cdef int load_dispatcher(Dispatcher dispatcher, tuple state) except -1:
    cdef Topic topic
    cdef LegCounts counts
    cdef int leg
    (
        _,
        rules,
        scales,
        dispatcher._counts,
        dispatcher._calls.failures,
        dispatcher._unrecorded,
        leg_recv_ns,
        dispatcher._decoder.fallbacks,
        confirmations,
        contradicted,
        leg_counts,
        unknown_topics,
        topics,
    ) = state
    dispatcher._rules = dict(rules)
    dispatcher._scales = dict(scales)
    dispatcher._confirmations = dict(confirmations)
    dispatcher._contradicted = set(contradicted)
    for counts_state in leg_counts:
        counts = load_leg_counts(counts_state)
        dispatcher._leg_counts[counts.leg] = counts
    dispatcher._unknown_topics = set(unknown_topics)
    for leg, recv_ns in leg_recv_ns:
        if not 0 <= leg < LEGS_MAX:
            raise ValueError(f"leg {leg} in a state")
        dispatcher._leg_recv_ns[leg] = recv_ns
    for topic_state in topics:
        name, *_ = topic_state
        topic = dispatcher._named(name)
        load_topic(topic, dispatcher._leg_counts, topic_state)
    return 0


# -- columns


cdef tuple save_columns(Columns columns):
    cdef SnapshotClock clock
    return (
        [(*key, *save_snapshot_clock(clock)) for key, clock in columns._clocks.items()],
        [(*key, row.values) for key, row in columns._tickers.items()],
    )


cdef int load_columns(Columns columns, tuple state) except -1:
    clocks, tickers = state
    columns._clocks = {
        (category, topic): load_snapshot_clock((last_ns, changes)) for category, topic, last_ns, changes in clocks
    }
    columns._tickers = {}
    for category, symbol, values in tickers:
        row = columns._tickers[category, symbol] = TickerRow()
        row.values = {**values, "extra": dict(values["extra"])}
    return 0


cdef tuple save_snapshot_clock(SnapshotClock clock):
    return (clock.last_ns, clock.changes)


cdef SnapshotClock load_snapshot_clock(tuple state):
    cdef SnapshotClock clock = SnapshotClock()
    clock.last_ns, clock.changes = state
    return clock
