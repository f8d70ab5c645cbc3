-- Package outbox: the events, written in the transaction of the change that they speak of,
-- and when they were published. A partition for each day (UTC) of row_id, which is a
-- UUIDv7: retention is then a drop. ensure_days makes the days.
CREATE SEQUENCE outbox_seq;
CREATE TABLE outbox_events (
  row_id             uuid        NOT NULL, -- the event's id where that is a UUIDv7, but for a replay
  event_id           text        NOT NULL,
  destination        text,                 -- one queue, for replays
  scope              text,
  correlation_id     text,
  aggregate_type     text        NOT NULL,
  aggregate_id       text        NOT NULL,
  aggregate_version  bigint      NOT NULL,
  type               text        NOT NULL,
  payload            bytea       NOT NULL,
  traceparent        text        NOT NULL DEFAULT '',
  partition_no       smallint    NOT NULL, -- a hash of aggregate_id
  seq                bigint      NOT NULL DEFAULT nextval('outbox_seq'), -- not commit order: never page by it
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  published_at       timestamptz,
  replay_no          integer     NOT NULL DEFAULT 0,     -- how often a person sent it again
  past_window        boolean     NOT NULL DEFAULT false, -- although dedupe may have forgotten it
  PRIMARY KEY (row_id)
) PARTITION BY RANGE (row_id);
-- Small whatever the table's size; without it a fetch is 60 to 70 times slower.
-- By partition first: a relay steps over nothing of what others own.
CREATE INDEX outbox_unpublished_of_partition ON outbox_events (partition_no, seq) WHERE published_at IS NULL;
CREATE INDEX outbox_of_aggregate ON outbox_events (aggregate_id, aggregate_version);

-- How deep the queues are, as the sampler saw it.
CREATE TABLE queue_samples (
  queue       text        PRIMARY KEY,
  ready       bigint      NOT NULL,
  consumers   integer     NOT NULL,
  sampled_at  timestamptz NOT NULL
);

SELECT ensure_days('outbox_events', (now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 31);
