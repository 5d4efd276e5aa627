-- The commit mark: how far each recorder is loaded. Every other view stops there.
CREATE OR REPLACE VIEW committed AS
SELECT recorder, max(last_position) AS last_position
FROM load_batch
GROUP BY recorder
