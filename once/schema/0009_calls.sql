-- Package call: attempts of effects outside of the database. Rows stay: they are what the
-- program knows of the outside, and belong to what they are for.
CREATE TABLE calls (
  kind             text        NOT NULL,            -- which effect
  subject          text        NOT NULL,            -- what it is for
  no               integer     NOT NULL,            -- which try
  key              text        NOT NULL UNIQUE,     -- what the outside does it once under
  scope            text,
  request          bytea       NOT NULL,            -- what is asked for: another process must be able to ask again
  status           text        NOT NULL CONSTRAINT calls_status
                   CHECK (status IN ('calling', 'in_doubt', 'done', 'refused', 'abandoned', 'released')),
  ref              text,                            -- the outside's own name of the effect
  reason           text,
  holder           text        NOT NULL,
  fence            bigint      NOT NULL DEFAULT 1,
  lease_until      timestamptz,
  next_ask_at      timestamptz,
  asked            integer     NOT NULL DEFAULT 0,
  begun_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at         timestamptz,
  contradicted_at  timestamptz,
  PRIMARY KEY (kind, subject, no),
  CONSTRAINT calls_open CHECK ((status IN ('calling', 'in_doubt')) = (ended_at IS NULL)),
  CONSTRAINT calls_asked CHECK ((ended_at IS NULL) = (next_ask_at IS NOT NULL))
);
-- The business key: one attempt is under way for a subject, or has done it.
CREATE UNIQUE INDEX calls_one ON calls (kind, subject) WHERE status IN ('calling', 'in_doubt', 'done');
CREATE INDEX calls_due ON calls (kind, next_ask_at) WHERE ended_at IS NULL;
