-- +goose Up
-- A kind more: queues that were declared while not all nodes were in the cluster.
ALTER TABLE alerts DROP CONSTRAINT alerts_kind, ADD CONSTRAINT alerts_kind CHECK (kind IN (
  'provider_contradiction', 'provider_amount', 'provider_in_doubt', 'provider_unlisted', 'provider_refused',
  'provider_unknown_charge', 'provider_unknown_refund', 'refund_contradiction', 'saga_stuck', 'ticket_used',
  'webhook_altered', 'webhook_unreadable',
  'dead_letter', 'retry_unroutable', 'unroutable', 'refused', 'queue_replicas', 'event_not_applied',
  'outbox_age', 'partition_kept', 'partition_missing',
  'mail_server_away', 'mail_late', 'mail_failed'));

-- +goose Down
DELETE FROM alerts WHERE kind = 'queue_replicas';
ALTER TABLE alerts DROP CONSTRAINT alerts_kind, ADD CONSTRAINT alerts_kind CHECK (kind IN (
  'provider_contradiction', 'provider_amount', 'provider_in_doubt', 'provider_unlisted', 'provider_refused',
  'provider_unknown_charge', 'provider_unknown_refund', 'refund_contradiction', 'saga_stuck', 'ticket_used',
  'webhook_altered', 'webhook_unreadable',
  'dead_letter', 'retry_unroutable', 'unroutable', 'refused', 'event_not_applied',
  'outbox_age', 'partition_kept', 'partition_missing',
  'mail_server_away', 'mail_late', 'mail_failed'));
