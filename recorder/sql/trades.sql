-- Public trades with exact and floating prices.
CREATE OR REPLACE VIEW trades AS
WITH (SELECT arraySort(groupArray((recorder, last_position))) FROM committed) AS marks
SELECT
    recorder, category, symbol, position, item, source, leg, recv, ts, time, seq, trade_id, side,
    toDecimal128(trade.price, 18) / intExp10(price_scale) AS price,
    toDecimal128(trade.size, 18) / intExp10(size_scale) AS size,
    toFloat64(price) AS price_float,
    toFloat64(size) AS size_float,
    tick_direction, is_block, is_rpi
FROM trade
WHERE position <= transform(recorder, marks.1, marks.2, toUInt64(0))
