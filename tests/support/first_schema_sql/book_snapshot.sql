-- Whole books: the venue's own snapshots, and ours (the state after the delta of the same position).
CREATE TABLE IF NOT EXISTS book_snapshot
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    symbol LowCardinality(String),
    depth UInt16,
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    origin Enum8('venue' = 1, 'own' = 2),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    leg UInt8,
    recv DateTime64(9, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    ts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'recv - ts, whole milliseconds',
    ts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms, 'UTC'),
    cts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'ts - cts, milliseconds',
    cts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms - cts_lag_ms, 'UTC'),
    update_id UInt64 CODEC(Delta, T64, ZSTD(1)),
    seq UInt64 CODEC(Delta, T64, ZSTD(1)),
    checksum UInt32 COMMENT 'of the whole book after the message',
    price_scale UInt8,
    size_scale UInt8,
    bid_ref Int64 CODEC(Delta, T64, ZSTD(1)) COMMENT 'best bid after the message, where its scale is that of the row',
    `bids.step` Array(Int64) CODEC(T64, ZSTD(1)) COMMENT 'distance down from bid_ref, then from the level before',
    `bids.size` Array(Int64) CODEC(T64, ZSTD(1)) COMMENT '0 removes the level',
    ask_ref Int64 CODEC(Delta, T64, ZSTD(1)) COMMENT 'best ask after the message, where its scale is that of the row',
    `asks.step` Array(Int64) CODEC(T64, ZSTD(1)) COMMENT 'distance up from ask_ref, then from the level before',
    `asks.size` Array(Int64) CODEC(T64, ZSTD(1)) COMMENT '0 removes the level',
    bid_prices Array(Int64) ALIAS arrayMap(distance -> bid_ref - distance, arrayCumSum(`bids.step`)),
    bid_sizes Array(Int64) ALIAS `bids.size`,
    ask_prices Array(Int64) ALIAS arrayMap(distance -> ask_ref + distance, arrayCumSum(`asks.step`)),
    ask_sizes Array(Int64) ALIAS `asks.size`,
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, symbol, depth, toStartOfMinute(recv), position)
SETTINGS non_replicated_deduplication_window = 1000
