-- The rows of `notice` that are committed.
CREATE OR REPLACE VIEW notices AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT *, ts
FROM notice
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
