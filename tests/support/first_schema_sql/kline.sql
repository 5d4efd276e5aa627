-- Klines as pushed: the running candle too; `is_closed` marks the last push of a candle.
CREATE TABLE IF NOT EXISTS kline
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    symbol LowCardinality(String),
    interval LowCardinality(String),
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    item UInt16 CODEC(T64, ZSTD(1)),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    leg UInt8,
    recv DateTime64(9, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    ts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'recv - ts, whole milliseconds',
    ts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms, 'UTC'),
    time_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'ts - time, milliseconds',
    time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms - time_lag_ms, 'UTC'),
    start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    end DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    open Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    high Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    low Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    close Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    volume Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    turnover Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    is_closed Bool,
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, symbol, interval, toStartOfMinute(recv), position, item)
SETTINGS non_replicated_deduplication_window = 1000
