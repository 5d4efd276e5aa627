-- Trades that several recorders have, each once.
CREATE OR REPLACE VIEW once_trades AS
WITH (
    SELECT arraySort(groupArray((recorder_day, seconds)))
    FROM recorder_days
    WHERE category = {category:String} AND symbol = {symbol:String}
) AS losses
SELECT *
FROM (
    SELECT *
    FROM trades
    WHERE category = {category:String} AND symbol = {symbol:String}
        AND time >= {start:DateTime64(3, 'UTC')} AND time < {end:DateTime64(3, 'UTC')}
        AND recv >= {start:DateTime64(3, 'UTC')} - toIntervalHour(1) AND recv < {end:DateTime64(3, 'UTC')} + toIntervalDay(1)
    ORDER BY source, transform(concat(recorder, '/', toString(toDate(time))), losses.1, losses.2, toFloat64(0)), recorder
    LIMIT 1 BY time, trade_id  -- archives have no seq
)
ORDER BY time, seq, trade_id
