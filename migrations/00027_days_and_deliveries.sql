-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION missing_days() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  -- The partitions of today and tomorrow (UTC) that are not there, or are there and
  -- not attached.
  SELECT d.part
    FROM (VALUES ('outbox_events'), ('consumer_inbox')) AS t (parent), generate_series(0, 1) AS away,
         LATERAL (SELECT t.parent || '_' || to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + away, 'YYYYMMDD') AS part) AS d
   WHERE NOT EXISTS (SELECT FROM pg_inherits i
                      WHERE i.inhparent = to_regclass(t.parent) AND i.inhrelid = to_regclass(d.part))
   ORDER BY d.part
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION days_are_there() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
-- A transaction that is about to do what cannot be undone asks first whether its event will
-- have a place, now and past midnight. True, or the error of a missing partition,
-- with its name.
DECLARE
  missing text;
BEGIN
  SELECT part INTO missing FROM missing_days() AS part LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'partition % is missing', missing USING ERRCODE = 'PD001', TABLE = missing;
  END IF;
  RETURN true;
END $$;
-- +goose StatementEnd

ALTER TABLE dead_letter_decisions DROP CONSTRAINT dead_letter_decisions_action;
ALTER TABLE dead_letter_decisions ADD CONSTRAINT dead_letter_decisions_action CHECK (action IN ('replay', 'apply', 'discard', 'take_back'));

-- +goose Down
ALTER TABLE dead_letter_decisions DROP CONSTRAINT dead_letter_decisions_action;
ALTER TABLE dead_letter_decisions ADD CONSTRAINT dead_letter_decisions_action CHECK (action IN ('replay', 'apply', 'discard'));
DROP FUNCTION days_are_there();
DROP FUNCTION missing_days();
