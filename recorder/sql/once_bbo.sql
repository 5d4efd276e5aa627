-- Changes of the best prices that several recorders have, each once.
CREATE OR REPLACE VIEW once_bbo AS
WITH (
    SELECT arraySort(groupArray((recorder_day, seconds)))
    FROM recorder_days
    WHERE category = {category:String} AND symbol = {symbol:String}
) AS losses
SELECT *
FROM quotes
WHERE category = {category:String} AND symbol = {symbol:String}
    AND cts >= {start:DateTime64(3, 'UTC')} AND cts < {end:DateTime64(3, 'UTC')}
    AND recv >= {start:DateTime64(3, 'UTC')} - toIntervalHour(1) AND recv < {end:DateTime64(3, 'UTC')} + toIntervalDay(1)
ORDER BY
    kind, depth, seq, update_id,
    source, transform(concat(recorder, '/', toString(toDate(cts))), losses.1, losses.2, toFloat64(0)), recorder
LIMIT 1 BY kind, depth, seq, update_id
