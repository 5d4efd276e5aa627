-- The rows of `liquidation` that are committed.
CREATE OR REPLACE VIEW liquidations AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT *, ts, time
FROM liquidation
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
