-- A book after the record at a position: the last whole book before it, and the deltas since. One record may release
-- several messages of a book (a leg that had waited): within a position the update id is their order.
CREATE OR REPLACE VIEW book_at AS
WITH
    (
        SELECT max((position, update_id))
        FROM book_snapshot
        WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
            AND kind = {kind:String} AND depth = {depth:UInt16} AND position <= {position:UInt64}
    ) AS base
SELECT side, price, argMax(changes.size, (position, update_id, item)) AS size
FROM
(
    SELECT side, price, size, position, update_id, item
    FROM snapshot_levels
    WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
        AND kind = {kind:String} AND depth = {depth:UInt16} AND position = base.1 AND update_id = base.2
    UNION ALL
    SELECT side, price, size, position, update_id, item
    FROM book_levels
    WHERE recorder = {recorder:String} AND category = {category:String} AND symbol = {symbol:String}
        AND kind = {kind:String} AND depth = {depth:UInt16}
        AND position >= base.1 AND (position, update_id) > base AND position <= {position:UInt64}
) AS changes
GROUP BY side, price
HAVING size > 0
ORDER BY side, if(side = 'bid', -price, price)
