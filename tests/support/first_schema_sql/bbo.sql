-- Best bid and ask after each change of them; at depth 1 one row per message. A size of 0 is an empty side.
CREATE TABLE IF NOT EXISTS bbo
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    symbol LowCardinality(String),
    depth UInt16,
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    leg UInt8,
    recv DateTime64(9, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    ts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'recv - ts, whole milliseconds',
    ts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms, 'UTC'),
    cts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'ts - cts, milliseconds',
    cts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms - cts_lag_ms, 'UTC'),
    update_id UInt64 CODEC(Delta, T64, ZSTD(1)),
    seq UInt64 CODEC(Delta, T64, ZSTD(1)),
    price_scale UInt8,
    size_scale UInt8,
    bid_price Int64 CODEC(Delta, T64, ZSTD(1)),
    bid_size Int64 CODEC(T64, ZSTD(1)),
    ask_price Int64 CODEC(Delta, T64, ZSTD(1)),
    ask_size Int64 CODEC(T64, ZSTD(1)),
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, symbol, depth, toStartOfMinute(recv), position)
SETTINGS non_replicated_deduplication_window = 1000
