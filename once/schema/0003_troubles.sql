-- Package trouble: what a person has to look at.
CREATE TABLE troubles (
  id         text        PRIMARY KEY,
  scope      text, -- whose it is; NULL is the operator's own
  kind       text        NOT NULL,
  subject    text        NOT NULL,
  facts      jsonb       NOT NULL,
  raised_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at   timestamptz
);
-- One of a kind about a subject at a time, and what is open is found by it.
CREATE UNIQUE INDEX troubles_open ON troubles (kind, subject) WHERE ended_at IS NULL;
CREATE INDEX troubles_newest ON troubles (id) WHERE ended_at IS NULL;
