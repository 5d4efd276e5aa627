-- Instruments with the end of each description's validity; `valid_to` is NULL for the present one.
CREATE OR REPLACE VIEW instruments AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT
    *,
    leadInFrame(toNullable(valid_from)) OVER (
        PARTITION BY recorder, category, symbol ORDER BY valid_from, position
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) AS valid_to
FROM instrument
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
