"""Run by the peers' Python: plays a file in hftbacktest itself, and prints its final book and trades."""

import json
import sys

import numpy as np
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.data import validate_event_order
from hftbacktest.types import event_dtype


def main(path: str, tick: float, lot: float) -> None:
    data = np.load(path)["data"]
    assert data.dtype == event_dtype, data.dtype
    validate_event_order(data)
    asset = (
        BacktestAsset()
        .data(path)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .no_partial_fill_exchange()
        .risk_adverse_queue_model()
        .trading_value_fee_model(0, 0)
        .tick_size(tick)
        .lot_size(lot)
        .last_trades_capacity(1_000_000)
    )
    backtest = HashMapMarketDepthBacktest([asset])
    while backtest.elapse(10_000_000_000) == 0:
        pass
    depth = backtest.depth(0)
    book = {}
    for side, name, best in ((1, "bids", depth.best_bid_tick), (-1, "asks", depth.best_ask_tick)):
        quantity = depth.bid_qty_at_tick if side == 1 else depth.ask_qty_at_tick
        ticks = range(best, best - side * 10_000, -side) if abs(best) < 1 << 60 else ()
        book[name] = [[round(at * tick, 9), quantity(at)] for at in ticks if quantity(at) > 0]
    print(json.dumps({**book, "trades": len(backtest.last_trades(0))}))
    backtest.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
