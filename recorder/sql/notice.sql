-- Entries about the venue: insurance pools, deleveraging, price limits, system status; fields as sent.
CREATE TABLE IF NOT EXISTS notice
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    kind LowCardinality(String) COMMENT 'insurance, adlAlert, priceLimit, system.status',
    topic LowCardinality(String),
    symbol LowCardinality(String) COMMENT 'that the entry names, else the key of the topic',
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    item UInt16 CODEC(T64, ZSTD(1)),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    leg UInt16,
    recv DateTime64(9, 'UTC') CODEC(Delta, T64, ZSTD(1)),
    ts_lag_ms Int64 CODEC(T64, ZSTD(1)) COMMENT 'recv - ts, whole milliseconds',
    ts DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Nano(recv), 1000000) - ts_lag_ms, 'UTC'),
    is_snapshot Bool COMMENT 'no: entries that are not there have not changed',
    fields Map(String, String) CODEC(ZSTD(1)),
    INDEX position_range position TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, kind, symbol, toStartOfMinute(recv), position, item)
SETTINGS non_replicated_deduplication_window = 1000
