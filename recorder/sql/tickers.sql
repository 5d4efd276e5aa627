-- The rows of `ticker` that are committed.
CREATE OR REPLACE VIEW tickers AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT *, ts
FROM ticker
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
