-- +goose Up
-- The programs' role owns no table (see grants.sql). What it needs beyond rows are the
-- days of two tables, and it gets those through functions that run as their owner: so
-- each takes names of these days only, and no SQL.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ensure_day_partitions(parent text, first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Makes one partition a day (UTC) for a table that is partitioned by a UUIDv7.
-- Two processes that do so at once take turns; what exists is left alone.
DECLARE
  day date := first_day;
  made integer := 0;
  part text;
BEGIN
  IF parent NOT IN ('outbox_events', 'consumer_inbox') OR first_day < current_date - 400 OR last_day > current_date + 400 THEN
    RAISE EXCEPTION 'no days of % from % to % are made here', parent, first_day, last_day USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('ensure_day_partitions'), hashtext(parent));
  WHILE day <= last_day LOOP
    part := parent || '_' || to_char(day::timestamp, 'YYYYMMDD'); -- as it is: without the cast a function of another schema would fit better
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
        public.uuid_v7_floor(day::timestamp AT TIME ZONE 'UTC'), public.uuid_v7_floor((day + 1)::timestamp AT TIME ZONE 'UTC'));
      made := made + 1;
    END IF;
    day := day + 1;
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd

-- The worker of before calls the function of three arguments, as the owner that it is.
-- +goose StatementBegin
CREATE FUNCTION drop_day_partition(parent text, part text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Drops one day that is over, unless it holds an event that was never published. The
-- caller has set a short lock_timeout. The parent is locked first, as every writer
-- does, so that nobody waits in a circle; whoever writes waits for as long as this
-- waits and looks. Two processes that do so at once take turns: the second finds
-- nothing.
DECLARE
  kept boolean := false;
BEGIN
  IF parent NOT IN ('outbox_events', 'consumer_inbox') OR part !~ ('^' || parent || '_[0-9]{8}$')
     OR to_date(right(part, 8), 'YYYYMMDD') >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
    RAISE EXCEPTION '% is no day of % that is over', part, parent USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF to_regclass(part) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
  IF to_regclass(part) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', part);
  IF parent = 'outbox_events' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE published_at IS NULL)', part) INTO kept;
  END IF;
  IF kept THEN
    RETURN 'kept';
  END IF;
  EXECUTE format('DROP TABLE %I', part);
  RETURN 'dropped';
END $$;
-- +goose StatementEnd

REVOKE EXECUTE ON FUNCTION ensure_day_partitions(text, date, date), drop_day_partition(text, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION drop_day_partition(text, text);
GRANT EXECUTE ON FUNCTION ensure_day_partitions(text, date, date) TO PUBLIC;
ALTER FUNCTION ensure_day_partitions(text, date, date) SECURITY INVOKER RESET search_path;
