-- Best bid and ask; NULL where a side is empty.
CREATE OR REPLACE VIEW quotes AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT
    recorder, category, symbol, depth, position, source, leg, recv, ts, cts, update_id, seq,
    if(bid_size = 0, NULL, toDecimal128(bid_price, 18) / intExp10(price_scale)) AS bid,
    if(bid_size = 0, NULL, toDecimal128(bid_size, 18) / intExp10(size_scale)) AS bid_amount,
    if(ask_size = 0, NULL, toDecimal128(ask_price, 18) / intExp10(price_scale)) AS ask,
    if(ask_size = 0, NULL, toDecimal128(ask_size, 18) / intExp10(size_scale)) AS ask_amount,
    toFloat64(bid) AS bid_float,
    toFloat64(bid_amount) AS bid_amount_float,
    toFloat64(ask) AS ask_float,
    toFloat64(ask_amount) AS ask_amount_float
FROM bbo
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
