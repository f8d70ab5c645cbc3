-- +goose Up

-- A person's decision about a stuck saga. It is final only when nothing can follow
-- it: the step's participant remembers it, and what is outside is asked first.
CREATE TABLE saga_decisions (
  id           uuid        PRIMARY KEY,
  saga_id      uuid        NOT NULL REFERENCES sagas (id),
  merchant_id  uuid        NOT NULL,
  step         text        NOT NULL,
  outcome      text        NOT NULL CONSTRAINT saga_decisions_outcome CHECK (outcome IN ('completed', 'compensated')),
  decided_by   text        NOT NULL,
  reason       text        NOT NULL,
  state        text        NOT NULL DEFAULT 'pending' CONSTRAINT saga_decisions_state CHECK (state IN ('pending', 'accepted', 'refused')),
  found        text        NOT NULL DEFAULT '',
  look_at      timestamptz NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  closed_at    timestamptz,
  CONSTRAINT saga_decisions_closed CHECK ((state = 'pending') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX saga_decisions_one_pending ON saga_decisions (saga_id) WHERE state = 'pending';
CREATE INDEX saga_decisions_of_saga ON saga_decisions (saga_id, id);
CREATE INDEX saga_decisions_due ON saga_decisions (look_at) WHERE state = 'pending';
COMMENT ON TABLE saga_decisions IS 'What persons decided about stuck sagas: who, when, why, and what was found outside. A refused one stays.';
COMMENT ON COLUMN saga_decisions.look_at IS 'From when on a pending decision may ask outside: no call that was begun before it is under way any more.';

ALTER TABLE saga_participations ADD COLUMN decided boolean NOT NULL DEFAULT false;
ALTER TABLE saga_participations ADD COLUMN asking_until timestamptz;
COMMENT ON COLUMN saga_participations.decided IS 'A person decided about the step: every command is answered from here and nothing is done.';
COMMENT ON COLUMN saga_participations.asking_until IS 'Until then a call outside may be under way. Written before the call, in the transaction of its intent.';

-- +goose Down
ALTER TABLE saga_participations DROP COLUMN asking_until;
ALTER TABLE saga_participations DROP COLUMN decided;
DROP TABLE saga_decisions;
