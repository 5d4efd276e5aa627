-- The commit mark: a batch counts once its row is here, and readers stop at the last one.
CREATE TABLE IF NOT EXISTS load_batch
(
    recorder LowCardinality(String),
    segment UInt32,
    first_position UInt64,
    last_position UInt64,
    decoder_version LowCardinality(String),
    records UInt64,
    frames UInt64,
    `tables.name` Array(String),
    `tables.rows` Array(UInt64),
    `tables.crc` Array(UInt32) COMMENT 'CRC-32 of the inserted Native block',
    first_recv DateTime64(9, 'UTC'),
    last_recv DateTime64(9, 'UTC'),
    loaded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(last_recv)
ORDER BY (recorder, first_position)
SETTINGS non_replicated_deduplication_window = 1000
