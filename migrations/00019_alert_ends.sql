-- +goose Up
-- An alert whose end no program can see is resolved by a person, and keeps who that
-- was and why.
ALTER TABLE alerts ADD COLUMN resolved_by text;
ALTER TABLE alerts ADD COLUMN resolved_why text;
ALTER TABLE alerts ADD CONSTRAINT alerts_resolved_with_reason CHECK
  ((resolved_by IS NULL) = (resolved_why IS NULL) AND (resolved_by IS NULL OR state = 'resolved'));
CREATE INDEX alerts_open ON alerts (id) WHERE state = 'open';
COMMENT ON COLUMN alerts.resolved_by IS 'Who resolved it; null when the end of the trouble did.';

-- +goose Down
DROP INDEX alerts_open;
ALTER TABLE alerts DROP CONSTRAINT alerts_resolved_with_reason;
ALTER TABLE alerts DROP COLUMN resolved_by, DROP COLUMN resolved_why;
