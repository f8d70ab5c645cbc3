-- Package retry: the messages that could not be applied, for a person, and what people
-- decided about them. A letter that is open does not expire.
CREATE TABLE dead_letters (
  id             text        PRIMARY KEY,
  scope          text,
  consumer       text        NOT NULL,
  event_id       text        NOT NULL, -- or a hash of consumer and body, where there is none
  replay_no      integer     NOT NULL DEFAULT 0,
  type           text        NOT NULL,
  class          text        NOT NULL,
  reason         text        NOT NULL,
  attempts       integer     NOT NULL,
  headers        jsonb       NOT NULL,
  payload        bytea       NOT NULL,
  state          text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded', 'applied')),
  first_failed_at timestamptz NOT NULL,
  last_failed_at  timestamptz NOT NULL,
  closed_at      timestamptz,
  CONSTRAINT dead_letters_once UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_newest ON dead_letters (scope, id DESC);
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state = 'open';
-- Retention deletes from here, in small batches.
CREATE INDEX dead_letters_closed ON dead_letters (closed_at) WHERE state <> 'open';

CREATE TABLE dead_letter_decisions (
  id           text        PRIMARY KEY,
  letter_id    text        NOT NULL,
  scope        text,
  action       text        NOT NULL CHECK (action IN ('replay', 'apply', 'discard', 'take_back')),
  who          text        NOT NULL,
  why          text        NOT NULL,
  replay_no    integer     NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letter_decisions_of_letter ON dead_letter_decisions (letter_id, id);
