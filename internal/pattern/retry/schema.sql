-- What this package needs; the shop's migration is its superset.
CREATE TABLE dead_letters (
  id             uuid        PRIMARY KEY,
  merchant_id    uuid,                 -- the scope
  consumer       text        NOT NULL,
  event_id       text        NOT NULL, -- or a hash of queue and body, where there is none
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

CREATE INDEX dead_letters_newest ON dead_letters (merchant_id, id DESC);
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state = 'open';

CREATE TABLE dead_letter_decisions (
  id           uuid        PRIMARY KEY,
  letter_id    uuid        NOT NULL,
  merchant_id  uuid,
  action       text        NOT NULL CHECK (action IN ('replay', 'apply', 'discard')),
  who          text        NOT NULL,
  why          text        NOT NULL,
  replay_no    integer     NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letter_decisions_of_letter ON dead_letter_decisions (letter_id, id);

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
