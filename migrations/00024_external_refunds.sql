-- +goose Up
-- A refund that was made at the provider by hand has neither a request nor a saga.
ALTER TABLE refunds
  ADD COLUMN provider_refund_id text CONSTRAINT refunds_external_once UNIQUE,
  ALTER COLUMN request_key DROP NOT NULL,
  ALTER COLUMN saga_id DROP NOT NULL,
  ADD CONSTRAINT refunds_origin CHECK ((provider_refund_id IS NULL) = (request_key IS NOT NULL) AND (request_key IS NULL) = (saga_id IS NULL)) NOT VALID;
COMMENT ON COLUMN refunds.provider_refund_id IS 'Of an external refund, one made at the provider without a request here: what the provider calls it. Unique for ever, so it is booked once.';

CREATE TABLE reconciliation_turns (
  name         text        PRIMARY KEY,
  holder       uuid        NOT NULL,
  lease_until  timestamptz NOT NULL,
  due_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE reconciliation_turns IS 'Whose turn it is to compare the provider''s books with ours: one worker at a time, and again when it is due.';

-- +goose Down
DROP TABLE reconciliation_turns;
ALTER TABLE refunds DROP COLUMN provider_refund_id;
