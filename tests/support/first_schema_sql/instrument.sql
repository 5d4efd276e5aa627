-- Instruments as the venue described them, from `valid_from` until a later row of the same symbol.
CREATE TABLE IF NOT EXISTS instrument
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    symbol LowCardinality(String),
    position UInt64 CODEC(Delta, T64, ZSTD(1)),
    source Enum8('live' = 1, 'backfill' = 2, 'import' = 3),
    valid_from DateTime64(9, 'UTC'),
    status LowCardinality(String),
    contract_type LowCardinality(String),
    base_coin LowCardinality(String),
    quote_coin LowCardinality(String),
    settle_coin LowCardinality(String),
    launch_time Nullable(DateTime64(3, 'UTC')),
    delivery_time Nullable(DateTime64(3, 'UTC')),
    tick_size Nullable(Decimal(38, 18)),
    min_price Nullable(Decimal(38, 18)),
    max_price Nullable(Decimal(38, 18)),
    lot_size Nullable(Decimal(38, 18)),
    min_size Nullable(Decimal(38, 18)),
    max_size Nullable(Decimal(38, 18)),
    min_notional Nullable(Decimal(38, 18)),
    raw String CODEC(ZSTD(3)) COMMENT 'the JSON object as received'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(valid_from)
ORDER BY (category, symbol, valid_from, position)
SETTINGS non_replicated_deduplication_window = 1000
