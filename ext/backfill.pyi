from enum import IntEnum

class BackfillLimit(IntEnum):
    TRADE_IDS_MAX = 1024
    BACKFILL_TRADES_MAX = 1000
    CLOSED_CANDLES_MAX = 1024

class Hole: ...
class TradeMemory(Hole): ...
class KlineMemory(Hole): ...
