-- Liquidations that several recorders have. They have no number: of those that are alike, as many as the recorder
-- with most of them has.
CREATE OR REPLACE VIEW once_liquidations AS
WITH (
    SELECT arraySort(groupArray((recorder_day, seconds)))
    FROM recorder_days
    WHERE category = {category:String} AND symbol = {symbol:String}
) AS losses
SELECT *
FROM
(
    SELECT
        *,
        row_number() OVER (PARTITION BY recorder, source, time, side, price, size ORDER BY position, item) AS copy
    FROM liquidations
    WHERE category = {category:String} AND symbol = {symbol:String}
        AND time >= {start:DateTime64(3, 'UTC')} AND time < {end:DateTime64(3, 'UTC')}
        AND recv >= {start:DateTime64(3, 'UTC')} - toIntervalHour(1) AND recv < {end:DateTime64(3, 'UTC')} + toIntervalDay(1)
)
ORDER BY
    time, side, price, size, copy,
    source, transform(concat(recorder, '/', toString(toDate(time))), losses.1, losses.2, toFloat64(0)), recorder
LIMIT 1 BY time, side, price, size, copy
