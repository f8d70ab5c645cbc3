-- +goose Up

CREATE TABLE idempotency_keys (
  merchant_id        uuid        NOT NULL,
  key                text        NOT NULL,
  operation          text        NOT NULL,
  request_hash       bytea       NOT NULL,
  field_macs         jsonb       NOT NULL,
  status             text        NOT NULL CONSTRAINT idempotency_keys_status CHECK (status IN ('running', 'completed')),
  claim_token        uuid        NOT NULL,
  fence              bigint      NOT NULL DEFAULT 1,
  lease_until        timestamptz,
  subject_id         uuid,
  subject_no         integer,
  response_status    integer,
  response_headers   bytea,
  response_body      bytea,
  resource_ref       text,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at         timestamptz NOT NULL,
  PRIMARY KEY (merchant_id, key),
  CONSTRAINT idempotency_keys_complete CHECK
    (status <> 'completed' OR (response_status IS NOT NULL AND response_headers IS NOT NULL AND response_body IS NOT NULL))
);
CREATE INDEX idempotency_keys_subject ON idempotency_keys (subject_id, subject_no) WHERE subject_id IS NOT NULL;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
COMMENT ON TABLE idempotency_keys IS 'One row per key a client named: who runs it, and the exact answer once there is one. Bytes, not jsonb, which reorders fields.';
COMMENT ON COLUMN idempotency_keys.field_macs IS 'A keyed hash per field of the request, so that a mismatch can be named without storing or revealing the value.';
COMMENT ON COLUMN idempotency_keys.fence IS 'Grows with each take-over; a holder whose fence is old cannot finish.';

CREATE SEQUENCE outbox_seq;
CREATE TABLE outbox_events (
  row_id             uuid        NOT NULL,
  event_id           uuid        NOT NULL,
  destination        text,
  merchant_id        uuid,
  correlation_id     uuid,
  aggregate_type     text        NOT NULL,
  aggregate_id       uuid        NOT NULL,
  aggregate_version  bigint      NOT NULL,
  type               text        NOT NULL,
  payload            bytea       NOT NULL,
  traceparent        text        NOT NULL DEFAULT '',
  partition_no       smallint    NOT NULL,
  seq                bigint      NOT NULL DEFAULT nextval('outbox_seq'),
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  published_at       timestamptz,
  PRIMARY KEY (row_id)
) PARTITION BY RANGE (row_id);
CREATE INDEX outbox_unpublished ON outbox_events (seq) WHERE published_at IS NULL;
CREATE INDEX outbox_of_aggregate ON outbox_events (aggregate_id, aggregate_version);
COMMENT ON TABLE outbox_events IS 'Events written in the transaction of the change they speak of; the relay publishes and marks them. Partitioned by day of row_id (UUIDv7), so that retention is a drop.';
COMMENT ON COLUMN outbox_events.correlation_id IS 'The story this event belongs to (a payment), whatever its aggregate.';
COMMENT ON COLUMN outbox_events.seq IS 'Drawn while the aggregate''s row is locked: commit order within an aggregate. Across aggregates it is not commit order; never page by it.';

CREATE TABLE consumer_inbox (
  consumer      text        NOT NULL,
  event_id      uuid        NOT NULL,
  processed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
) PARTITION BY RANGE (event_id);
COMMENT ON TABLE consumer_inbox IS 'Which consumer has applied which event; the row commits with the effect. Partitioned by event_id: by processed_at the same event would be admitted twice.';

CREATE TABLE dead_letters (
  id             uuid        PRIMARY KEY,
  merchant_id    uuid,
  consumer       text        NOT NULL,
  event_id       text        NOT NULL,
  replay_no      integer     NOT NULL DEFAULT 0,
  type           text        NOT NULL,
  class          text        NOT NULL,
  reason         text        NOT NULL,
  attempts       integer     NOT NULL,
  headers        jsonb       NOT NULL,
  payload        bytea       NOT NULL,
  state          text        NOT NULL DEFAULT 'open' CONSTRAINT dead_letters_state CHECK (state IN ('open', 'replayed', 'discarded', 'applied')),
  first_failed_at timestamptz NOT NULL,
  last_failed_at  timestamptz NOT NULL,
  closed_at      timestamptz,
  CONSTRAINT dead_letters_once UNIQUE (consumer, event_id)
);
COMMENT ON TABLE dead_letters IS 'Messages that could not be applied, with the reason, for a person. Open ones never expire.';
COMMENT ON COLUMN dead_letters.event_id IS 'Text: a message without a usable event id is kept under a hash of its queue and body.';

SELECT ensure_day_partitions('outbox_events', (now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 31);
SELECT ensure_day_partitions('consumer_inbox', (now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 31);

-- +goose Down
DROP TABLE dead_letters, consumer_inbox, outbox_events, idempotency_keys;
DROP SEQUENCE outbox_seq;
