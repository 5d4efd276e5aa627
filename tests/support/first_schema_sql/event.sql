-- What happened and lost nothing.
CREATE TABLE IF NOT EXISTS event
(
    recorder LowCardinality(String),
    category LowCardinality(String),
    topic LowCardinality(String),
    position UInt64,
    leg UInt8,
    recv DateTime64(9, 'UTC'),
    kind LowCardinality(String),
    detail String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(recv)
ORDER BY (category, topic, recv, position)
SETTINGS non_replicated_deduplication_window = 1000
