-- +goose Up
CREATE TABLE webhook_receipts (
  provider      text        NOT NULL,
  message_id    text        NOT NULL,
  payload_hash  bytea       NOT NULL,
  sent_at       timestamptz NOT NULL,
  received_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (provider, message_id)
);
CREATE INDEX webhook_receipts_age ON webhook_receipts (received_at);
COMMENT ON TABLE webhook_receipts IS 'Signed messages that were received: an id is known for as long as its row is kept. Written with the event it starts, before the 2xx.';
COMMENT ON COLUMN webhook_receipts.payload_hash IS 'SHA-256 of the raw body: other bytes under a known id are not applied, and somebody is told.';

-- +goose Down
DROP TABLE webhook_receipts;
