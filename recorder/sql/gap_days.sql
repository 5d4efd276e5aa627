-- What is missing of each symbol on each day (UTC), by cause. A gap counts on every day that it touches, one
-- that is open up to the last record loaded; `seconds` adds up over the symbol's topics.
CREATE OR REPLACE VIEW gap_days AS
WITH (
    SELECT arraySort(groupArray((recorder, last)))
    FROM (SELECT recorder, max(last_recv) AS last FROM load_batch GROUP BY recorder)
) AS loaded
SELECT
    recorder, day, category, symbol, cause, fault,
    uniqExact(topic) AS topics,
    count() AS gaps,
    countIf(is_open) AS open,
    sum(greatest(0, least(stop_ns, (number + 1) * 86400000000000) - greatest(start_ns, number * 86400000000000)))
        / 1e9 AS seconds
FROM
(
    SELECT
        recorder, category, topic, cause, fault,
        arrayElement(splitByChar('.', topic), -1) AS symbol,
        isNull(end) AS is_open,
        toUnixTimestamp64Nano(start) AS start_ns,
        greatest(
            start_ns,
            toUnixTimestamp64Nano(coalesce(end, transform(recorder, loaded.1, loaded.2, start)))
        ) AS stop_ns,
        arrayJoin(range(toUInt64(intDiv(start_ns, 86400000000000)), toUInt64(intDiv(stop_ns, 86400000000000)) + 1))
            AS day_number,
        toInt64(day_number) AS number,
        toDate(day_number) AS day
    FROM gaps
)
GROUP BY recorder, day, category, symbol, cause, fault
