-- Liquidations; `side` is the position's (Buy: a long was liquidated), `price` the bankruptcy price.
CREATE TABLE IF NOT EXISTS liquidation
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
    side Enum8('Buy' = 1, 'Sell' = 2),
    price Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    size Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, symbol, toStartOfMinute(recv), position, item)
SETTINGS non_replicated_deduplication_window = 1000
