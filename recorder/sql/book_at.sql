-- A book after the record at a position: the last whole book before it, and the deltas since.
CREATE OR REPLACE VIEW book_at AS
WITH
    (
        SELECT max(position)
        FROM book_snapshot
        WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
            AND kind = {kind:String} AND depth = {depth:UInt16} AND position <= {position:UInt64}
    ) AS base
SELECT side, price, argMax(changes.size, (position, item)) AS size
FROM
(
    SELECT side, price, size, position, item
    FROM snapshot_levels
    WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
        AND kind = {kind:String} AND depth = {depth:UInt16} AND position = base
    UNION ALL
    SELECT side, price, size, position, item
    FROM book_levels
    WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
        AND kind = {kind:String} AND depth = {depth:UInt16} AND position > base AND position <= {position:UInt64}
) AS changes
GROUP BY side, price
HAVING size > 0
ORDER BY side, if(side = 'bid', -price, price)
