-- Candles of any length from trades, by their own time: SELECT * FROM ohlcv(seconds = 60).
CREATE OR REPLACE VIEW ohlcv AS
SELECT
    recorder, category, symbol,
    fromUnixTimestamp64Milli(
        toInt64(intDiv(toUnixTimestamp64Milli(time), {seconds:UInt32} * 1000) * {seconds:UInt32} * 1000), 'UTC'
    ) AS start,
    argMin(trades.price, (time, position, item)) AS open,
    max(trades.price) AS high,
    min(trades.price) AS low,
    argMax(trades.price, (time, position, item)) AS close,
    sum(trades.size) AS volume,
    toDecimal128(sum(toDecimal256(trades.price, 18) * trades.size), 18) AS turnover,
    count() AS trades
FROM trades
GROUP BY recorder, category, symbol, start
