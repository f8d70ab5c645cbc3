-- +goose Up
-- A command that sends events again can be taken back as long as its rows wait: they
-- are known by it, and taking them back is a command of its own.
ALTER TABLE event_resends
  ADD COLUMN action  text   NOT NULL DEFAULT 'resend' CONSTRAINT event_resends_action CHECK (action IN ('resend', 'take_back')),
  ADD COLUMN row_ids uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN event_resends.queued IS 'How many events were queued or, by a take_back, removed before they had left.';
COMMENT ON COLUMN event_resends.row_ids IS 'The rows of outbox_events that this command has written.';

-- A row of before counts as published long ago.
ALTER TABLE missed_events ADD COLUMN published_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN missed_events.published_at IS 'When the row left: a consumer that is behind has applied nothing that left later.';

-- +goose Down
ALTER TABLE missed_events DROP COLUMN published_at;
ALTER TABLE event_resends DROP COLUMN row_ids, DROP COLUMN action;
