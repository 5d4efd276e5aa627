-- Missing or doubtful data, one row a gap; `end` is NULL while it is open.
CREATE OR REPLACE VIEW gaps AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT
    recorder, id, category, topic,
    argMin(gap.cause, gap.position) AS cause,
    argMin(gap.fault, gap.position) AS fault,
    argMin(gap.leg, gap.position) AS leg,
    min(gap.start) AS start,
    max(gap.end) AS end,
    max(gap.missing) AS missing,
    argMax(gap.detail, gap.position) AS detail,
    min(gap.position) AS opened_position,
    max(gap.position) AS last_position
FROM gap
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
GROUP BY recorder, id, category, topic
