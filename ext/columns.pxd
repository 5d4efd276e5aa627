"""The Listener that turns callbacks into table rows."""

from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook
from ext.change cimport BookChange, Levels
from ext.ladder cimport Ladder
from ext.listener cimport Event, Gap, Item, Kline, Liquidation, Listener, Notice, Ticker, Trade
from ext.native cimport Fixed, List, Optional, Recent, Symbols, Table, Text


cdef class MarketTable(Table):
    # Rows of one (category, symbol) that came by a record.
    cdef:
        Symbols recorder
        Symbols category
        Symbols symbol
        Fixed position
        Fixed source
        Fixed leg
        Fixed recv
        Fixed ts_lag_ms
        str _recorder
        int _source

    cdef Py_ssize_t begin_row(self, str category, str symbol, uint64_t position, int leg, int64_t recv_ns, int64_t ts_ms) except -1


cdef class BookTable(MarketTable):
    cdef:
        Fixed kind
        Fixed depth
        Fixed cts_lag_ms
        Fixed update_id
        Fixed seq
        Fixed price_scale
        Fixed size_scale

    cdef Py_ssize_t begin_book(self, OrderBook book) except -1


cdef class LevelTable(BookTable):
    cdef:
        Fixed bid_ref
        List bid_steps
        List bid_sizes
        Fixed ask_ref
        List ask_steps
        List ask_sizes

    cdef int add_change(self, OrderBook book) except -1


cdef class SnapshotTable(LevelTable):
    cdef:
        Fixed origin
        Fixed checksum

    cdef int add_book(self, OrderBook book, int origin) except -1


cdef class BboTable(BookTable):
    cdef:
        Fixed bid_price
        Fixed bid_size
        Fixed ask_price
        Fixed ask_size

    cdef int add(self, OrderBook book) except -1


cdef class TradeTable(MarketTable):
    cdef:
        Fixed item
        Fixed time_lag_ms
        Fixed seq
        Text trade_id
        Fixed side
        Fixed price_scale
        Fixed size_scale
        Fixed price
        Fixed size
        Fixed tick_direction
        Fixed is_block
        Fixed is_rpi

    cdef int add(self, Trade trade) except -1


cdef class SnapshotClock:
    # When a book was last written whole, by its record's wall clock, and how many level changes came since.
    cdef:
        int64_t last_ns
        Py_ssize_t changes


cdef class Columns(Listener):
    cdef:
        readonly str recorder
        readonly str source
        dict _tables
        LevelTable _delta
        SnapshotTable _snapshot
        BboTable _bbo
        TradeTable _trade
        Table _ticker
        Table _kline
        Table _liquidation
        Table _notice
        Table _gap
        Table _event
        dict _clocks
        Recent _recent_clocks
        dict _tickers

    cdef SnapshotClock _clock(self, OrderBook book)
    cdef int _keep_snapshots(self, OrderBook book, Py_ssize_t changes) except -1
    cdef int _add_snapshot(self, OrderBook book, int origin) except -1
    cdef dict _item(self, Item item)
    cdef int _add(self, Table table, dict values) except -1
