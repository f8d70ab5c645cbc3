-- +goose Up
-- Alerts are listed by their id, the newest first, so an id is made of the time. The
-- relay drew some at random: they stood above all others for ever.
UPDATE alerts SET id = (substr(uuid_v7_floor(raised_at)::text, 1, 19) || substr(gen_random_uuid()::text, 20))::uuid
 WHERE substr(id::text, 15, 1) <> '7';
ALTER TABLE alerts ADD CONSTRAINT alerts_id_sorts_by_time CHECK (substr(id::text, 15, 1) = '7');

-- +goose Down
ALTER TABLE alerts DROP CONSTRAINT alerts_id_sorts_by_time;
