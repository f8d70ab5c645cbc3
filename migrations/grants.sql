-- What the roles payonce_program and payonce_reader may do, all of it. It is applied
-- anew after the migrations, each time, so that roles that were made later get theirs
-- with the next `api --migrate`. Where the two roles are missing it does nothing: then
-- the programs run as the role that migrates. docs/production.md says how to make them.
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('payonce.grants')); -- two at once would meet in one row of the catalogue
  IF to_regrole('payonce_program') IS NULL OR to_regrole('payonce_reader') IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  -- A function that runs as its owner must not meet one that another role has made.
  IF has_schema_privilege('payonce_program', 'public', 'CREATE') OR has_schema_privilege('payonce_reader', 'public', 'CREATE') THEN
    RAISE EXCEPTION 'payonce_program or payonce_reader may make objects in the schema public: run ALTER SCHEMA public OWNER TO the role that migrates';
  END IF;
  REVOKE ALL ON ALL TABLES IN SCHEMA public FROM payonce_program, payonce_reader;

  GRANT USAGE ON SCHEMA public TO payonce_program, payonce_reader;
  GRANT SELECT ON ALL TABLES IN SCHEMA public TO payonce_program, payonce_reader;
  GRANT USAGE ON SEQUENCE outbox_seq TO payonce_program;
  GRANT EXECUTE ON FUNCTION ensure_day_partitions(text, date, date), drop_day_partition(text, text) TO payonce_program;

  -- A day of outbox_events and consumer_inbox is reached through its table.
  GRANT INSERT ON activity, alerts, attempts, consumer_inbox, dead_letter_decisions, dead_letters, emails, event_resends,
    heartbeats, idempotency_keys, ledger_accounts, ledger_entries, ledger_transactions, merchants, missed_events, orders,
    outbox_events, payment_attempts, payment_resolutions, payments, queue_samples, reconciliation_turns, recordings,
    refund_reservations, refunds, saga_decisions, saga_participations, saga_steps, sagas, tickets, webhook_receipts
    TO payonce_program;
  GRANT UPDATE ON alerts, dead_letters, delivery_watch, emails, heartbeats, idempotency_keys, merchants, orders, outbox_events,
    payment_attempts, payments, queue_samples, reconciliation_turns, recordings, refund_reservations, refunds,
    saga_decisions, saga_participations, saga_steps, sagas, tickets, webhook_receipts
    TO payonce_program;
  GRANT UPDATE (id) ON ledger_transactions TO payonce_program; -- SELECT … FOR UPDATE asks for it; a trigger refuses the update
  GRANT DELETE ON activity, attempts, dead_letters, heartbeats, idempotency_keys, merchants, missed_events, outbox_events,
    queue_samples, recordings, webhook_receipts
    TO payonce_program;
END $$;
