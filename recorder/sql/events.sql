-- The rows of `event` that are committed.
CREATE OR REPLACE VIEW events AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT *
FROM event
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
