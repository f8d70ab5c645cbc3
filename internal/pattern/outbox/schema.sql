-- What this package needs; the shop's migration is its superset. Partitions are
-- made ahead of time, one a day, by the range of the UUIDv7 that row_id is:
-- retention is then a drop. A copy that keeps everything drops PARTITION BY.
CREATE SEQUENCE outbox_seq;
CREATE TABLE outbox_events (
  row_id             uuid        NOT NULL, -- event_id, except for a replay's row
  event_id           uuid        NOT NULL,
  destination        text,                 -- one queue, for replays
  merchant_id        uuid,                 -- the scope
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
  replay_no          integer     NOT NULL DEFAULT 0,     -- how often a person sent it again
  past_window        boolean     NOT NULL DEFAULT false, -- although dedupe may have forgotten it
  PRIMARY KEY (row_id)
) PARTITION BY RANGE (row_id);
-- Small whatever the table's size; without it a fetch is 60 to 70 times slower.
-- By partition first: a relay steps over nothing of what others own.
CREATE INDEX outbox_unpublished_of_partition ON outbox_events (partition_no, seq) WHERE published_at IS NULL;
CREATE INDEX outbox_of_aggregate ON outbox_events (aggregate_id, aggregate_version);

CREATE TABLE alerts (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid,
  kind         text        NOT NULL,
  subject      text        NOT NULL,
  facts        jsonb       NOT NULL,
  state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
  raised_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at  timestamptz,
  resolved_by  text,
  resolved_why text
);
CREATE UNIQUE INDEX alerts_open_once ON alerts (kind, subject) WHERE state = 'open';

CREATE TABLE queue_samples (
  queue       text        PRIMARY KEY,
  ready       bigint      NOT NULL,
  consumers   integer     NOT NULL,
  sampled_at  timestamptz NOT NULL
);
