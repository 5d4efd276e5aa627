-- Deltas of books that several recorders have, each once, in the venue's order: docs/storage.md says which is taken.
CREATE OR REPLACE VIEW once_book_delta AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks, (
    SELECT arraySort(groupArray((recorder_day, seconds)))
    FROM recorder_days
    WHERE category = {category:String} AND symbol = {symbol:String}
) AS losses
SELECT *, ts, cts, bid_prices, bid_sizes, ask_prices, ask_sizes
FROM book_delta
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
    AND category = {category:String} AND symbol = {symbol:String}
    AND cts >= {start:DateTime64(3, 'UTC')} AND cts < {end:DateTime64(3, 'UTC')}
    AND recv >= {start:DateTime64(3, 'UTC')} - toIntervalHour(1) AND recv < {end:DateTime64(3, 'UTC')} + toIntervalDay(1)
ORDER BY
    kind, depth, seq, update_id,
    source, transform(concat(recorder, '/', toString(toDate(cts))), losses.1, losses.2, toFloat64(0)), recorder
LIMIT 1 BY kind, depth, seq, update_id
