-- Public trades; `side` is the taker's.
CREATE TABLE IF NOT EXISTS trade
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    symbol LowCardinality(String),
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    item UInt16 CODEC(T64, ZSTD(1)),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    leg UInt8,
    recv DateTime64(9, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    ts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'recv - ts, whole milliseconds',
    ts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms, 'UTC'),
    time_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'ts - time, milliseconds',
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms - time_lag_ms, 'UTC'),
    seq UInt64 CODEC(Delta, T64, ZSTD(1)),
    trade_id String CODEC(ZSTD(1)),
    side Enum8('Buy' = 1, 'Sell' = 2),
    price_scale UInt8,
    size_scale UInt8,
    price Int64 CODEC(Delta, T64, ZSTD(1)),
    size Int64 CODEC(T64, ZSTD(1)),
    tick_direction Enum8('' = 0, 'PlusTick' = 1, 'ZeroPlusTick' = 2, 'MinusTick' = 3, 'ZeroMinusTick' = 4),
    is_block Bool,
    is_rpi Bool,
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, symbol, toStartOfMinute(recv), position, item)
SETTINGS non_replicated_deduplication_window = 1000
