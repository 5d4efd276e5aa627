-- The rows of `kline` that are committed.
CREATE OR REPLACE VIEW klines AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT *, ts, time
FROM kline
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
