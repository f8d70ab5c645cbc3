-- Package inbox: which consumer has applied which event. The row commits with the effect.
--
-- consumer_inbox is for events whose id is a UUIDv7, which carries the time of its birth:
-- a partition for each day (UTC), so that forgetting is a drop. By the time of processing,
-- the same event would be admitted twice. Its days are made ahead by ensure_days, which
-- package retention calls.
CREATE TABLE consumer_inbox (
  consumer      text        NOT NULL,
  event_id      uuid        NOT NULL,
  processed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
) PARTITION BY RANGE (event_id);

-- consumer_inbox_any is for events with any other id. Rows are deleted by their age.
CREATE TABLE consumer_inbox_any (
  consumer      text        NOT NULL,
  event_id      text        NOT NULL,
  processed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX consumer_inbox_any_age ON consumer_inbox_any (processed_at);

-- Makes the days of a table from first to last that are not there. The table is named
-- where this function is: in the first schema of the session's search_path, or with its
-- schema before it. Any number of processes may do so at once.
CREATE FUNCTION ensure_days(parent regclass, first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  within text;
  called text;
  day    timestamp := first_day;
  part   text;
  made   integer := 0;
BEGIN
  SELECT n.nspname, c.relname INTO within, called FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
  PERFORM pg_advisory_xact_lock(hashtextextended(within || '.' || called, 0));
  WHILE day <= last_day LOOP
    part := called || '_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(format('%I.%I', within, part)) IS NULL THEN
      -- A UUIDv7 begins with the milliseconds since 1970 in 48 bits.
      EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)', within, part, within, called,
        (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid,
        (lpad(to_hex((extract(epoch FROM day + interval '1 day') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid);
      made := made + 1;
    END IF;
    day := day + interval '1 day';
  END LOOP;
  RETURN made;
END $$;

SELECT ensure_days('consumer_inbox', (now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 31);
