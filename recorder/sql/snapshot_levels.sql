-- One row per level of each whole book, best first (`item` counts from 1 a side).
CREATE OR REPLACE VIEW snapshot_levels AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT
    recorder, category, symbol, kind, depth, position, origin, source, leg, recv, ts, cts, update_id, seq,
    level.1 AS side,
    level.2 AS item,
    toDecimal128(level.3, 18) / intExp10(price_scale) AS price,
    toDecimal128(level.4, 18) / intExp10(size_scale) AS size,
    toFloat64(price) AS price_float,
    toFloat64(size) AS size_float
FROM book_snapshot
ARRAY JOIN arrayConcat(
    arrayMap((item, price, size) -> ('bid', item, price, size), arrayEnumerate(bid_prices), bid_prices, bid_sizes),
    arrayMap((item, price, size) -> ('ask', item, price, size), arrayEnumerate(ask_prices), ask_prices, ask_sizes)
) AS level
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
