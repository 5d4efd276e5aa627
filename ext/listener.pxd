from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook


cdef class Trade:
    cdef:
        readonly str category
        readonly str symbol
        readonly int64_t price_mantissa
        readonly int price_scale
        readonly int64_t size_mantissa
        readonly int size_scale
        readonly bint is_buy
        readonly bint is_block
        readonly bint is_rpi
        readonly int64_t time_ms
        readonly int64_t ts_ms
        readonly int64_t seq
        readonly int64_t recv_ns
        readonly uint64_t position
        readonly int leg
        readonly int index
        char[64] _trade_id
        int _trade_id_size
        int _tick_direction
        bint is_backfill


cdef class Item:
    # One element of a message that is no book and no trade.
    cdef:
        readonly str category
        readonly str symbol
        readonly int64_t ts_ms
        readonly int64_t recv_ns
        readonly uint64_t position
        readonly int leg
        readonly int index


cdef class Ticker(Item):
    cdef:
        readonly bint is_snapshot
        readonly int64_t seq
        readonly dict fields
        readonly dict changed


cdef class Kline(Item):
    cdef:
        readonly str interval
        readonly int64_t start_ms
        readonly int64_t end_ms
        readonly object open
        readonly object high
        readonly object low
        readonly object close
        readonly object volume
        readonly object turnover
        readonly bint is_closed
        readonly int64_t time_ms
        bint is_backfill


cdef class Liquidation(Item):
    cdef:
        readonly str side
        readonly object price
        readonly object size
        readonly int64_t time_ms


cdef class Notice(Item):
    cdef:
        readonly str topic
        readonly str kind
        readonly bint is_snapshot
        readonly dict fields


cdef class Gap:
    cdef:
        readonly uint64_t id
        readonly str category
        readonly str topic
        readonly str cause
        readonly str fault
        readonly int leg
        readonly int64_t start_ns
        readonly int64_t end_ns
        readonly int64_t missing
        readonly str detail
        readonly uint64_t position


cdef class Event:
    cdef:
        readonly str category
        readonly str topic
        readonly str kind
        readonly str detail
        readonly int64_t recv_ns
        readonly uint64_t position
        readonly int leg


cdef class Listener:
    cpdef object on_book(self, OrderBook book)
    cpdef object on_bbo(self, OrderBook book)
    cpdef object on_trade(self, Trade trade)
    cpdef object on_ticker(self, Ticker ticker)
    cpdef object on_kline(self, Kline kline)
    cpdef object on_liquidation(self, Liquidation liquidation)
    cpdef object on_notice(self, Notice notice)
    cpdef object on_gap(self, Gap gap)
    cpdef object on_event(self, Event event)
    cpdef object on_order(self, object event)
    cpdef object on_execution(self, object event)
    cpdef object on_position(self, object event)
    cpdef object on_wallet(self, object event)
    cpdef object on_greeks(self, object event)


cdef class Control:
    cpdef object on_message(self, object message, int leg, int64_t recv_ns)
    cpdef object on_desync(self, str topic, int leg, int64_t recv_ns)
    cpdef object on_sync(self, str topic, int leg, int64_t recv_ns)
