-- What has been done to this database: a row a migration, and a row each time its views were made.
CREATE TABLE IF NOT EXISTS schema_version
(
    version UInt32,
    name LowCardinality(String),
    views UInt32 COMMENT 'CRC-32 of the statements of the views, 0 for a migration',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (version, applied_at)
SETTINGS non_replicated_deduplication_window = 1000
