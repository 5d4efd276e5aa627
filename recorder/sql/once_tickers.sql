-- Tickers that several recorders have; two messages are one if the venue's time and sequence are.
CREATE OR REPLACE VIEW once_tickers AS
WITH (
    SELECT arraySort(groupArray((recorder_day, seconds)))
    FROM recorder_days
    WHERE category = {category:String} AND symbol = {symbol:String}
) AS losses
SELECT *
FROM tickers
WHERE category = {category:String} AND symbol = {symbol:String}
    AND ts >= {start:DateTime64(3, 'UTC')} AND ts < {end:DateTime64(3, 'UTC')}
    AND recv >= {start:DateTime64(3, 'UTC')} - toIntervalHour(1) AND recv < {end:DateTime64(3, 'UTC')} + toIntervalDay(1)
ORDER BY
    ts, seq,
    source, transform(concat(recorder, '/', toString(toDate(ts))), losses.1, losses.2, toFloat64(0)), recorder
LIMIT 1 BY ts, seq
