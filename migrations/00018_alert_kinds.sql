-- +goose Up
-- A kind is one of the list in internal/edge/alerts, which says what it means, what
-- to do and what ends it.
ALTER TABLE alerts ADD CONSTRAINT alerts_kind CHECK (kind IN (
  'provider_contradiction', 'provider_amount', 'provider_in_doubt', 'provider_unlisted', 'provider_refused',
  'provider_unknown_charge', 'provider_unknown_refund', 'refund_contradiction', 'saga_stuck', 'ticket_used',
  'webhook_altered', 'webhook_unreadable',
  'dead_letter', 'retry_unroutable', 'unroutable', 'refused', 'event_not_applied',
  'outbox_age', 'partition_kept', 'partition_missing',
  'mail_server_away', 'mail_late', 'mail_failed'));

-- +goose Down
ALTER TABLE alerts DROP CONSTRAINT alerts_kind;
