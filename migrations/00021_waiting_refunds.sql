-- +goose Up
-- A refund that may be the last one of its payment waits until each earlier
-- reservation is closed. Earlier is what the payment's lock says, so the number is
-- drawn under it: a clock can go back, and a refund's id is older than its turn.
ALTER TABLE refund_reservations ADD COLUMN seq bigint;
UPDATE refund_reservations r SET seq = o.seq
  FROM (SELECT refund_id, row_number() OVER (ORDER BY reserved_at, refund_id) AS seq FROM refund_reservations) AS o
 WHERE o.refund_id = r.refund_id;
ALTER TABLE refund_reservations ALTER COLUMN seq SET NOT NULL;
ALTER TABLE refund_reservations ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('refund_reservations', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM refund_reservations), false);
COMMENT ON COLUMN refund_reservations.seq IS 'Orders the reservations of one payment as its lock did.';

ALTER TABLE sagas DROP CONSTRAINT sagas_state;
ALTER TABLE sagas ADD CONSTRAINT sagas_state CHECK (state IN ('running', 'waiting', 'compensating', 'stuck', 'completed', 'compensated'));
ALTER TABLE saga_steps DROP CONSTRAINT saga_steps_status;
ALTER TABLE saga_steps ADD CONSTRAINT saga_steps_status CHECK (status IN ('pending', 'waiting', 'skipped', 'started', 'done', 'failed'));

-- +goose Down
ALTER TABLE saga_steps DROP CONSTRAINT saga_steps_status;
ALTER TABLE saga_steps ADD CONSTRAINT saga_steps_status CHECK (status IN ('pending', 'skipped', 'started', 'done', 'failed'));
ALTER TABLE sagas DROP CONSTRAINT sagas_state;
ALTER TABLE sagas ADD CONSTRAINT sagas_state CHECK (state IN ('running', 'compensating', 'stuck', 'completed', 'compensated'));
ALTER TABLE refund_reservations DROP COLUMN seq;
