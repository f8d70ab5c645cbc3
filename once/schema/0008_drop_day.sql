-- Package retention: drops a day of a table that is cut into days, unless a row of it
-- matches keep. The caller has set a short lock_timeout. The table is locked first, as
-- every writer does, so that none waits in a circle; a writer waits for as long as this
-- waits and looks. Two processes that do so at once take turns: the second finds nothing.
CREATE FUNCTION drop_day(parent regclass, part text, keep text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  within text;
  kept   boolean := false;
BEGIN
  SELECT n.nspname INTO within FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
  IF to_regclass(format('%I.%I', within, part)) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
  IF to_regclass(format('%I.%I', within, part)) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', within, part);
  IF keep <> '' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I WHERE %s)', within, part, keep) INTO kept;
  END IF;
  IF kept THEN
    RETURN 'kept';
  END IF;
  EXECUTE format('DROP TABLE %I.%I', within, part);
  RETURN 'dropped';
END $$;
