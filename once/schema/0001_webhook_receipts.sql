-- Package webhook: one row for each message of a provider that was believed. A receipt
-- is kept for longer than the provider repeats a message.
CREATE TABLE webhook_receipts (
  provider      text        NOT NULL,
  message_id    text        NOT NULL,
  payload_hash  bytea       NOT NULL, -- sha-256 of the raw body
  sent_at       timestamptz NOT NULL, -- as the sender signed it
  received_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (provider, message_id)
);
-- Retention deletes from here, in small batches.
CREATE INDEX webhook_receipts_age ON webhook_receipts (received_at);
