-- How much each recorder missed of a symbol on a day (UTC), over all its topics: the views `once_*` prefer the less.
CREATE OR REPLACE VIEW recorder_days AS
SELECT category, symbol, concat(recorder, '/', toString(day)) AS recorder_day, sum(gap_days.seconds) AS seconds
FROM gap_days
GROUP BY category, symbol, recorder_day
