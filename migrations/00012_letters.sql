-- +goose Up

-- What a person sends again carries how often it was sent, so that its second
-- death is told from a late copy of the first.
ALTER TABLE outbox_events ADD COLUMN replay_no integer NOT NULL DEFAULT 0;
ALTER TABLE outbox_events ADD COLUMN past_window boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN outbox_events.replay_no IS 'How often a person has sent the event again; the message carries it.';
COMMENT ON COLUMN outbox_events.past_window IS 'A person had it applied although the inbox may have forgotten it: business keys absorb a repeat.';

CREATE TABLE dead_letter_decisions (
  id           uuid        PRIMARY KEY,
  letter_id    uuid        NOT NULL,
  merchant_id  uuid,
  action       text        NOT NULL CONSTRAINT dead_letter_decisions_action CHECK (action IN ('replay', 'apply', 'discard')),
  who          text        NOT NULL,
  why          text        NOT NULL,
  replay_no    integer     NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letter_decisions_of_letter ON dead_letter_decisions (letter_id, id);
COMMENT ON TABLE dead_letter_decisions IS 'Who decided what about a dead letter, and why. Written in the transaction of the decision; outlives the letter.';

CREATE INDEX dead_letters_newest ON dead_letters (merchant_id, id DESC);
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state = 'open';
CREATE INDEX dead_letters_closed ON dead_letters (closed_at) WHERE state <> 'open';

-- +goose StatementBegin
CREATE FUNCTION drop_day_partition(parent text, part text, keep text) RETURNS text
LANGUAGE plpgsql AS $$
-- Drops one day unless a row of it matches keep. The caller has set a short
-- lock_timeout. The parent is locked first, as every writer does, so that nobody
-- waits in a circle; whoever writes waits for as long as this waits and looks.
-- Two processes that do so at once take turns: the second finds nothing.
DECLARE
  kept boolean := false;
BEGIN
  IF to_regclass(part) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
  IF to_regclass(part) IS NULL THEN
    RETURN 'gone';
  END IF;
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', part);
  IF keep <> '' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %s)', part, keep) INTO kept;
  END IF;
  IF kept THEN
    RETURN 'kept';
  END IF;
  EXECUTE format('DROP TABLE %I', part);
  RETURN 'dropped';
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION drop_day_partition(text, text, text);
DROP INDEX dead_letters_closed, dead_letters_open, dead_letters_newest;
DROP TABLE dead_letter_decisions;
ALTER TABLE outbox_events DROP COLUMN past_window, DROP COLUMN replay_no;
