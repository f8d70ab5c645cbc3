-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION uuid_v7_floor(t timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- The smallest UUIDv7 of a millisecond: the bound of a partition, or of a scan.
  SELECT (lpad(to_hex(floor(extract(epoch FROM t) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION uuid_v7(ordinal bigint DEFAULT 0) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  -- Ids by the database's clock, so that hosts need not agree on the time. The
  -- bits after the version hold the fraction of the millisecond, as RFC 9562
  -- allows, and the ordinal keeps the rows of one batch in their order.
  SELECT (lpad(to_hex(us / 1000), 12, '0')
       || '7' || lpad(to_hex((us % 1000) * 4096 / 1000), 3, '0')
       || '8' || lpad(to_hex(ordinal % 4096), 3, '0')
       || substr(replace(gen_random_uuid()::text, '-', ''), 21))::uuid
    FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) AS now
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ensure_day_partitions(parent text, first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql AS $$
-- Makes one partition a day (UTC) for a table that is partitioned by a UUIDv7.
-- Two processes that do so at once take turns; what exists is left alone.
DECLARE
  day date := first_day;
  made integer := 0;
  part text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('ensure_day_partitions'), hashtext(parent));
  WHILE day <= last_day LOOP
    part := parent || '_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
        uuid_v7_floor(day::timestamp AT TIME ZONE 'UTC'), uuid_v7_floor((day + 1)::timestamp AT TIME ZONE 'UTC'));
      made := made + 1;
    END IF;
    day := day + 1;
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd

CREATE TABLE merchants (
  id            uuid        PRIMARY KEY,
  api_key_hash  bytea       NOT NULL CONSTRAINT merchants_api_key_once UNIQUE,
  session_hash  bytea       CONSTRAINT merchants_session_once UNIQUE,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE merchants IS 'Whose rows are whose. A visitor''s sandbox is a merchant found by the hash of its cookie, a program by the hash of its API key.';

CREATE TABLE heartbeats (
  process     text        NOT NULL,
  instance    text        NOT NULL,
  pid         integer     NOT NULL,
  broker_ok   boolean,
  started_at  timestamptz NOT NULL,
  beat_at     timestamptz NOT NULL,
  PRIMARY KEY (process, instance)
);
COMMENT ON TABLE heartbeats IS 'One row for each running process, renewed every second; older than 3 s means down.';

CREATE TABLE queue_samples (
  queue       text        PRIMARY KEY,
  ready       bigint      NOT NULL,
  consumers   integer     NOT NULL,
  sampled_at  timestamptz NOT NULL
);
COMMENT ON TABLE queue_samples IS 'Queue depths, sampled by the relay every 2 s, so that the api needs no broker.';

CREATE TABLE alerts (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid,
  kind         text        NOT NULL,
  subject      text        NOT NULL,
  facts        jsonb       NOT NULL,
  state        text        NOT NULL DEFAULT 'open' CONSTRAINT alerts_state CHECK (state IN ('open', 'resolved')),
  raised_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at  timestamptz
);
-- The same thing that is still open is not said twice.
CREATE UNIQUE INDEX alerts_open_once ON alerts (kind, subject) WHERE state = 'open';
COMMENT ON TABLE alerts IS 'What a person has to look at; an alert holds every fact that the decision needs.';

CREATE TABLE attempts (
  id               uuid        PRIMARY KEY,
  merchant_id      uuid        NOT NULL,
  payment_id       uuid,
  operation        text        NOT NULL,
  idempotency_key  text        NOT NULL,
  fate             text        NOT NULL CONSTRAINT attempts_fate CHECK (fate IN
                     ('executed', 'replayed', 'waited', 'matched', 'rejected', 'recovered', 'interrupted')),
  status_code      integer     NOT NULL,
  latency_us       bigint      NOT NULL,
  trace_id         text        NOT NULL,
  at               timestamptz NOT NULL
);
CREATE INDEX attempts_of_payment ON attempts (payment_id, id);
COMMENT ON TABLE attempts IS 'Every HTTP attempt and its fate, appended in batches after the answer; never part of a business transaction.';

CREATE TABLE activity (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid,
  payment_id   uuid,
  at           timestamptz NOT NULL,
  kind         text        NOT NULL,
  node         text        NOT NULL,
  facts        jsonb       NOT NULL
);
COMMENT ON TABLE activity IS 'The live view''s journal, bounded and lossy. Ids come from the database''s clock, never from a sequence.';

-- +goose Down
DROP TABLE activity, attempts, alerts, queue_samples, heartbeats, merchants;
DROP FUNCTION ensure_day_partitions(text, date, date);
DROP FUNCTION uuid_v7(bigint);
DROP FUNCTION uuid_v7_floor(timestamptz);
