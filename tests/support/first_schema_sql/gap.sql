-- Missing or doubtful data: one row when a gap opens, one when it closes; the view `gaps` has one row each.
CREATE TABLE IF NOT EXISTS gap
(
    recorder LowCardinality(String),
    id UInt64 COMMENT 'position of the record that opened it',
    category LowCardinality(String),
    topic LowCardinality(String),
    position UInt64 COMMENT 'of the record that led to this row',
    cause LowCardinality(String),
    fault LowCardinality(String),
    leg UInt8,
    start DateTime64(9, 'UTC'),
    end Nullable(DateTime64(9, 'UTC')),
    missing Nullable(UInt64) COMMENT 'messages, where the update ids tell',
    detail String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(start)
ORDER BY (category, topic, start, id, position)
SETTINGS non_replicated_deduplication_window = 1000
