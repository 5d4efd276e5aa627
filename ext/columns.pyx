"""The Listener that turns callbacks into table rows, without a Python object a book or trade row.

Which table a callback fills is below, one class a table; names and types of the columns come from the schema.
"""

from ext.ticker_row import TickerRow

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from ext.book cimport LIVE, OrderBook
from ext.change cimport BookChange, Levels
from ext.ladder cimport Ladder
from ext.listener cimport Event, Gap, Item, Kline, Liquidation, Listener, Notice, Ticker, Trade
from ext.native cimport Fixed, List, Recent, Symbols, Table, Text

cdef enum:
    NS_PER_MS = 1_000_000
    # Our own snapshots of a book: never closer than this, and only after as many level changes as it has levels.
    SNAPSHOT_INTERVAL_MIN_S = 60
    SNAPSHOT_CHANGES_MIN = 100
    ORIGIN_VENUE = 1
    ORIGIN_OWN = 2

    SOURCE_BACKFILL = 2

SOURCES = {"live": 1, "backfill": SOURCE_BACKFILL, "import": 3}

cdef int64_t SNAPSHOT_INTERVAL_MIN_NS = <int64_t>SNAPSHOT_INTERVAL_MIN_S * 1_000_000_000
cdef int64_t DAY_NS = <int64_t>86_400 * 1_000_000_000


cdef class MarketTable(Table):
    """A table whose rows belong to one (category, symbol) and came by a record."""

    def __init__(self, str name, columns, str recorder, int source):
        Table.__init__(self, name, columns)
        self._recorder = recorder
        self._source = source
        self.recorder = self._columns["recorder"]
        self.category = self._columns["category"]
        self.symbol = self._columns["symbol"]
        self.position = self.fixed("position", 8)
        self.source = self.fixed("source", 1)
        self.leg = self.fixed("leg", 2)
        self.recv = self.fixed("recv", 8)
        self.ts_lag_ms = self.fixed("ts_lag_ms", 8)

    cdef Py_ssize_t begin_row(
        self, str category, str symbol, uint64_t position, int leg, int64_t recv_ns, int64_t ts_ms
    ) except -1:
        cdef Py_ssize_t row = self.begin()
        self.recorder.put_text(row, self._recorder)
        self.category.put_text(row, category)
        self.symbol.put_text(row, symbol)
        (<uint64_t*>self.position.data)[row] = position
        (<uint8_t*>self.source.data)[row] = self._source
        (<uint16_t*>self.leg.data)[row] = leg
        (<int64_t*>self.recv.data)[row] = recv_ns
        (<int64_t*>self.ts_lag_ms.data)[row] = recv_ns // NS_PER_MS - ts_ms
        return row


cdef class BookTable(MarketTable):
    """A table with rows of an order book."""

    def __init__(self, str name, columns, str recorder, int source):
        MarketTable.__init__(self, name, columns, recorder, source)
        self.kind = self.fixed("kind", 1)
        self.depth = self.fixed("depth", 2)
        self.cts_lag_ms = self.fixed("cts_lag_ms", 8)
        self.update_id = self.fixed("update_id", 8)
        self.seq = self.fixed("seq", 8)
        self.price_scale = self.fixed("price_scale", 1)
        self.size_scale = self.fixed("size_scale", 1)

    cdef Py_ssize_t begin_book(self, OrderBook book) except -1:
        cdef Py_ssize_t row = self.begin_row(
            book.category, book.symbol, book.position, book.leg, book.recv_ns, book.ts_ms
        )
        (<uint8_t*>self.kind.data)[row] = <uint8_t>book.kind_code
        (<uint16_t*>self.depth.data)[row] = book.depth
        (<int64_t*>self.cts_lag_ms.data)[row] = book.ts_ms - book.cts_ms
        (<int64_t*>self.update_id.data)[row] = book.update_id
        (<int64_t*>self.seq.data)[row] = book.seq
        (<uint8_t*>self.price_scale.data)[row] = book.price_scale
        (<uint8_t*>self.size_scale.data)[row] = book.size_scale
        return row


cdef inline int64_t best_price(const Ladder* side, int sign) noexcept nogil:
    return sign * side.keys[side.end - 1] if side.end > side.start else 0


cdef inline int64_t best_size(const Ladder* side) noexcept nogil:
    return side.sizes[side.end - 1] if side.end > side.start else 0


cdef class LevelTable(BookTable):
    """book_delta and book_snapshot: prices as distances from a reference, then from the level before."""

    def __init__(self, str name, columns, str recorder, int source):
        BookTable.__init__(self, name, columns, recorder, source)
        self.bid_ref = self.fixed("bid_ref", 8)
        self.bid_steps = self._columns["bids.step"]
        self.bid_sizes = self._columns["bids.size"]
        self.ask_ref = self.fixed("ask_ref", 8)
        self.ask_steps = self._columns["asks.step"]
        self.ask_sizes = self._columns["asks.size"]

    cdef int add_change(self, OrderBook book) except -1:
        cdef Py_ssize_t row = self.begin_book(book)
        cdef BookChange change = book.change
        cdef bint same_scale = change.price_scale == book.price_scale
        cdef int64_t bid_ref = best_price(&book._bids, 1) if same_scale else 0
        cdef int64_t ask_ref = best_price(&book._asks, -1) if same_scale else 0
        (<uint8_t*>self.price_scale.data)[row] = change.price_scale
        (<uint8_t*>self.size_scale.data)[row] = change.size_scale
        (<int64_t*>self.bid_ref.data)[row] = bid_ref
        (<int64_t*>self.ask_ref.data)[row] = ask_ref
        write_levels(&change.bid_levels, bid_ref, -1, row, self.bid_steps, self.bid_sizes)
        write_levels(&change.ask_levels, ask_ref, 1, row, self.ask_steps, self.ask_sizes)
        self.rows += 1
        return 0


cdef int write_levels(
    const Levels* levels, int64_t reference, int sign, Py_ssize_t row, List steps, List sizes
) except -1:
    cdef int64_t* step = steps.room(row, levels.count)
    cdef int64_t* size = sizes.room(row, levels.count)
    cdef Py_ssize_t i
    for i in range(levels.count):
        step[i] = sign * (levels.prices[i] - reference)
        reference = levels.prices[i]
        size[i] = levels.sizes[i]
    return 0


cdef class SnapshotTable(LevelTable):
    """book_snapshot: whole books, best level first."""

    def __init__(self, str name, columns, str recorder, int source):
        LevelTable.__init__(self, name, columns, recorder, source)
        self.origin = self.fixed("origin", 1)
        self.checksum = self.fixed("checksum", 4)

    cdef int add_book(self, OrderBook book, int origin) except -1:
        cdef Py_ssize_t row = self.begin_book(book)
        (<uint8_t*>self.origin.data)[row] = origin
        (<uint32_t*>self.checksum.data)[row] = book.checksum()
        (<int64_t*>self.bid_ref.data)[row] = best_price(&book._bids, 1)
        (<int64_t*>self.ask_ref.data)[row] = best_price(&book._asks, -1)
        write_ladder(&book._bids, row, self.bid_steps, self.bid_sizes)
        write_ladder(&book._asks, row, self.ask_steps, self.ask_sizes)
        self.rows += 1
        return 0


cdef int write_ladder(const Ladder* side, Py_ssize_t row, List steps, List sizes) except -1:
    # Keys fall from the best level outwards on both sides, so the distances are the same expression.
    cdef Py_ssize_t count = side.end - side.start
    cdef int64_t* step = steps.room(row, count)
    cdef int64_t* size = sizes.room(row, count)
    cdef Py_ssize_t i, at
    cdef int64_t last = side.keys[side.end - 1] if count else 0
    for i in range(count):
        at = side.end - 1 - i
        step[i] = last - side.keys[at]
        last = side.keys[at]
        size[i] = side.sizes[at]
    return 0


cdef class BboTable(BookTable):
    """bbo: the best levels of a book after a message."""

    def __init__(self, str name, columns, str recorder, int source):
        BookTable.__init__(self, name, columns, recorder, source)
        self.bid_price = self.fixed("bid_price", 8)
        self.bid_size = self.fixed("bid_size", 8)
        self.ask_price = self.fixed("ask_price", 8)
        self.ask_size = self.fixed("ask_size", 8)

    cdef int add(self, OrderBook book) except -1:
        cdef Py_ssize_t row = self.begin_book(book)
        (<int64_t*>self.bid_price.data)[row] = best_price(&book._bids, 1)
        (<int64_t*>self.bid_size.data)[row] = best_size(&book._bids)
        (<int64_t*>self.ask_price.data)[row] = best_price(&book._asks, -1)
        (<int64_t*>self.ask_size.data)[row] = best_size(&book._asks)
        self.rows += 1
        return 0


cdef class TradeTable(MarketTable):
    """trade: one row per public trade."""

    def __init__(self, str name, columns, str recorder, int source):
        MarketTable.__init__(self, name, columns, recorder, source)
        self.item = self.fixed("item", 2)
        self.time_lag_ms = self.fixed("time_lag_ms", 8)
        self.seq = self.fixed("seq", 8)
        self.trade_id = self._columns["trade_id"]
        self.side = self.fixed("side", 1)
        self.price_scale = self.fixed("price_scale", 1)
        self.size_scale = self.fixed("size_scale", 1)
        self.price = self.fixed("price", 8)
        self.size = self.fixed("size", 8)
        self.tick_direction = self.fixed("tick_direction", 1)
        self.is_block = self.fixed("is_block", 1)
        self.is_rpi = self.fixed("is_rpi", 1)

    cdef int add(self, Trade trade) except -1:
        cdef Py_ssize_t row = self.begin_row(
            trade.category, trade.symbol, trade.position, trade.leg, trade.recv_ns, trade.ts_ms
        )
        if trade.is_backfill:
            (<uint8_t*>self.source.data)[row] = SOURCE_BACKFILL
        (<uint16_t*>self.item.data)[row] = trade.index
        (<int64_t*>self.time_lag_ms.data)[row] = trade.ts_ms - trade.time_ms
        (<int64_t*>self.seq.data)[row] = trade.seq
        self.trade_id.put_raw(row, trade._trade_id, trade._trade_id_size)
        (<uint8_t*>self.side.data)[row] = 1 if trade.is_buy else 2
        (<uint8_t*>self.price_scale.data)[row] = trade.price_scale
        (<uint8_t*>self.size_scale.data)[row] = trade.size_scale
        (<int64_t*>self.price.data)[row] = trade.price_mantissa
        (<int64_t*>self.size.data)[row] = trade.size_mantissa
        (<uint8_t*>self.tick_direction.data)[row] = trade._tick_direction
        (<uint8_t*>self.is_block.data)[row] = trade.is_block
        (<uint8_t*>self.is_rpi.data)[row] = trade.is_rpi
        self.rows += 1
        return 0


cdef class SnapshotClock:
    pass


cdef class Columns(Listener):
    """Collects rows from the callbacks of one or more dispatchers; one thread.

    The rows depend on the callbacks alone, never on a clock: the same records give the same bytes. What outlives a
    `take` is the merged tickers and, per book, when it was last written whole.

    Args:
        recorder: name of the recorder, in every row.
        schema: per table its columns as (name, ClickHouse type), in the order of the block.
        source: "live", "backfill" or "import".

    Raises:
        ValueError: the source is unknown, or a column has not the width that the code writes.
        KeyError: a table or column is missing from the schema.
    """

    def __init__(self, str recorder, schema, str source="live"):
        if source not in SOURCES:
            raise ValueError(f"source was {source!r}; it is one of {', '.join(SOURCES)}")
        cdef int origin = SOURCES[source]
        self.recorder = recorder
        self.source = source
        self._delta = LevelTable("book_delta", schema["book_delta"], recorder, origin)
        self._snapshot = SnapshotTable("book_snapshot", schema["book_snapshot"], recorder, origin)
        self._bbo = BboTable("bbo", schema["bbo"], recorder, origin)
        self._trade = TradeTable("trade", schema["trade"], recorder, origin)
        self._tables = {
            name: Table(name, columns) for name, columns in schema.items() if name != "load_batch"
        } | {table.name: table for table in (self._delta, self._snapshot, self._bbo, self._trade)}
        self._ticker = self._tables["ticker"]
        self._kline = self._tables["kline"]
        self._liquidation = self._tables["liquidation"]
        self._notice = self._tables["notice"]
        self._gap = self._tables["gap"]
        self._event = self._tables["event"]
        self._clocks = {}
        self._recent_clocks = Recent()
        self._tickers = {}

    def take(self):
        """The rows since the last call: {table: (rows, Native block)}, tables without rows left out."""
        cdef Table table
        return {name: (table.rows, table.take()) for name, table in self._tables.items() if table.rows}

    def clear(self):
        """Drop the rows since the last `take`; merged tickers and snapshot clocks stay."""
        cdef Table table
        for table in self._tables.values():
            table.clear()

    @property
    def rows(self):
        """Rows waiting for `take`."""
        cdef Table table
        return sum([table.rows for table in self._tables.values()])

    def append(self, str table, dict values):
        """Append one row made elsewhere (instruments); `recorder` and `source` are filled in. See `Table.append`."""
        self._tables[table].append({"recorder": self.recorder, "source": self.source} | values)

    cpdef object on_book(self, OrderBook book):
        cdef BookChange change = book.change
        if change is None or book.state != LIVE:
            return None
        if book.depth == 1:
            self._bbo.add(book)
        elif change.is_snapshot:
            self._add_snapshot(book, ORIGIN_VENUE)
            self._keep_snapshots(book, -1)
        else:
            self._delta.add_change(book)
            if book.rpi is not None:
                self._delta.add_change(book.rpi)
            self._keep_snapshots(book, change.bid_levels.count + change.ask_levels.count)

    cdef int _keep_snapshots(self, OrderBook book, Py_ssize_t changes) except -1:
        """Count the level changes of a delta (-1: a snapshot), and write our own snapshot where one is due."""
        cdef PyObject* recent = self._recent_clocks.get(book)
        cdef SnapshotClock clock = <SnapshotClock>recent if recent is not NULL else self._clock(book)
        cdef Py_ssize_t levels
        if changes >= 0:
            clock.changes += changes
            if book.recv_ns // DAY_NS == clock.last_ns // DAY_NS:
                if book.recv_ns - clock.last_ns < SNAPSHOT_INTERVAL_MIN_NS or clock.changes < SNAPSHOT_CHANGES_MIN:
                    return 0
                levels = book._bids.end - book._bids.start + book._asks.end - book._asks.start
                if clock.changes < levels:
                    return 0
            self._add_snapshot(book, ORIGIN_OWN)
        clock.last_ns = book.recv_ns
        clock.changes = 0
        return 0

    cdef int _add_snapshot(self, OrderBook book, int origin) except -1:
        self._snapshot.add_book(book, origin)
        return 0 if book.rpi is None else self._snapshot.add_book(book.rpi, origin)

    cdef SnapshotClock _clock(self, OrderBook book):
        # By its name: a book that is subscribed anew is another object.
        cdef SnapshotClock clock = self._clocks.setdefault((book.category, book.topic), SnapshotClock())
        self._recent_clocks.put(book, clock)
        return clock

    cpdef object on_bbo(self, OrderBook book):
        if book.depth != 1 and book.state == LIVE:
            self._bbo.add(book)

    cpdef object on_trade(self, Trade trade):
        self._trade.add(trade)

    cdef int _add(self, Table table, dict values) except -1:
        """Append a row; one that its columns cannot hold is named by an event row instead of getting lost."""
        try:
            table.append(values)
        except (ValueError, OverflowError) as error:
            self.on_event(
                Event(
                    category=values["category"], topic=values["symbol"], kind="row_refused",
                    detail=f"{table.name}: {error}", recv_ns=values["recv"], position=values["position"],
                    leg=values["leg"],
                )
            )
        return 0

    cdef dict _item(self, Item item):
        """The columns that rows of all items have."""
        return {
            "recorder": self.recorder, "category": item.category, "symbol": item.symbol, "position": item.position,
            "source": self.source, "leg": item.leg, "recv": item.recv_ns,
            "ts_lag_ms": item.recv_ns // NS_PER_MS - item.ts_ms,
        }

    cpdef object on_ticker(self, Ticker ticker):
        row = self._tickers.get((ticker.category, ticker.symbol))
        if row is None:
            row = self._tickers.setdefault((ticker.category, ticker.symbol), TickerRow())
        row.update(ticker.fields if ticker.is_snapshot else ticker.changed, ticker.is_snapshot)
        self._add(
            self._ticker,
            self._item(ticker) | {"seq": ticker.seq or None, "is_snapshot": ticker.is_snapshot} | row.values,
        )

    cpdef object on_kline(self, Kline kline):
        self._add(
            self._kline,
            self._item(kline) | {
                "interval": kline.interval, "item": kline.index,
                "source": kline.source if kline.is_backfill else self.source,
                "time_lag_ms": kline.ts_ms - kline.time_ms, "start": kline.start_ms, "end": kline.end_ms,
                "open": kline.open, "high": kline.high, "low": kline.low, "close": kline.close,
                "volume": kline.volume, "turnover": kline.turnover, "is_closed": kline.is_closed,
            },
        )

    cpdef object on_liquidation(self, Liquidation liquidation):
        self._add(
            self._liquidation,
            self._item(liquidation) | {
                "item": liquidation.index, "time_lag_ms": liquidation.ts_ms - liquidation.time_ms,
                "side": liquidation.side, "price": liquidation.price, "size": liquidation.size,
            },
        )

    cpdef object on_notice(self, Notice notice):
        self._add(
            self._notice,
            self._item(notice) | {
                "kind": notice.kind, "topic": notice.topic, "item": notice.index,
                "is_snapshot": notice.is_snapshot, "fields": notice.fields,
            },
        )

    cpdef object on_gap(self, Gap gap):
        self._gap.append(
            {
                "recorder": self.recorder, "id": gap.id, "category": gap.category, "topic": gap.topic,
                "position": gap.position, "cause": gap.cause, "fault": gap.fault, "leg": gap.leg,
                "start": gap.start_ns, "end": gap.end_ns or None, "missing": None if gap.missing < 0 else gap.missing,
                "detail": gap.detail,
            }
        )

    cpdef object on_event(self, Event event):
        self._event.append(
            {
                "recorder": self.recorder, "category": event.category, "topic": event.topic,
                "position": event.position, "leg": event.leg, "recv": event.recv_ns, "kind": event.kind,
                "detail": event.detail,
            }
        )
