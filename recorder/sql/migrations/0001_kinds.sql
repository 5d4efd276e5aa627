-- Since the first schema: books of several kinds, legs beyond 255, the phase of a pre-listing.
-- The sorting keys of tables that are there stay as they are: ClickHouse cannot put a column into the middle of one.
ALTER TABLE book_delta
    ADD COLUMN IF NOT EXISTS kind Enum8('plain' = 0, 'rpi' = 1, 'rpi_only' = 2, 'full' = 3) AFTER symbol,
    MODIFY COLUMN leg UInt16;
ALTER TABLE book_snapshot
    ADD COLUMN IF NOT EXISTS kind Enum8('plain' = 0, 'rpi' = 1, 'rpi_only' = 2, 'full' = 3) AFTER symbol,
    MODIFY COLUMN leg UInt16;
ALTER TABLE bbo
    ADD COLUMN IF NOT EXISTS kind Enum8('plain' = 0, 'rpi' = 1, 'rpi_only' = 2, 'full' = 3) AFTER symbol,
    MODIFY COLUMN leg UInt16;
ALTER TABLE trade MODIFY COLUMN leg UInt16;
ALTER TABLE ticker MODIFY COLUMN leg UInt16;
ALTER TABLE kline MODIFY COLUMN leg UInt16;
ALTER TABLE liquidation MODIFY COLUMN leg UInt16;
ALTER TABLE gap MODIFY COLUMN leg UInt16;
ALTER TABLE event MODIFY COLUMN leg UInt16;
ALTER TABLE instrument ADD COLUMN IF NOT EXISTS phase LowCardinality(String) COMMENT 'of a pre-listing' AFTER status;
