-- Package saga: stories of several owners without a common transaction, their steps as
-- history knows them, what participants remember of commands, and what people decided.
CREATE TABLE sagas (
  id              text        PRIMARY KEY,
  scope           text        NOT NULL,
  correlation_id  text        NOT NULL,
  definition      text        NOT NULL,
  subject_id      text        NOT NULL,
  data            bytea       NOT NULL,
  state           text        NOT NULL CONSTRAINT sagas_state CHECK (state IN ('running', 'waiting', 'compensating', 'stuck', 'completed', 'compensated')),
  direction       text        NOT NULL CONSTRAINT sagas_direction CHECK (direction IN ('do', 'undo')),
  position        integer     NOT NULL,
  version         bigint      NOT NULL DEFAULT 1,
  sent            bigint      NOT NULL DEFAULT 0,
  alerted         boolean     NOT NULL DEFAULT false,
  failure         text,
  due_at          timestamptz,
  traceparent     text        NOT NULL DEFAULT '',
  resolved_by     text,
  resolved_why    text,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz,
  CONSTRAINT sagas_one_per_subject UNIQUE (definition, subject_id),
  CONSTRAINT sagas_finished CHECK ((state IN ('completed', 'compensated')) = (finished_at IS NOT NULL)),
  CONSTRAINT sagas_resolved CHECK ((resolved_by IS NULL) = (resolved_why IS NULL))
);
CREATE INDEX sagas_due ON sagas (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE saga_steps (
  saga_id      text        NOT NULL REFERENCES sagas (id),
  step         text        NOT NULL,
  direction    text        NOT NULL CONSTRAINT saga_steps_direction CHECK (direction IN ('do', 'undo')),
  position     integer     NOT NULL,
  status       text        NOT NULL CONSTRAINT saga_steps_status CHECK (status IN ('pending', 'waiting', 'skipped', 'started', 'done', 'failed')),
  attempts     integer     NOT NULL DEFAULT 0,
  late         integer     NOT NULL DEFAULT 0,
  error        text,
  deadline_at  timestamptz,
  started_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (saga_id, step, direction)
);

CREATE TABLE saga_participations (
  saga_id      text        NOT NULL,
  step         text        NOT NULL,
  scope        text        NOT NULL,
  did          text        CONSTRAINT saga_participations_did CHECK (did IN ('done', 'failed', 'refused')),
  did_reply    bytea,
  undid        text        CONSTRAINT saga_participations_undid CHECK (undid IN ('done', 'nothing', 'failed')),
  undid_reply  bytea,
  asked        integer     NOT NULL DEFAULT 0,
  replies      bigint      NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  decided      boolean     NOT NULL DEFAULT false,
  asking_until timestamptz,
  PRIMARY KEY (saga_id, step),
  CONSTRAINT saga_participations_reply CHECK ((did IS NULL) = (did_reply IS NULL) AND (undid IS NULL) = (undid_reply IS NULL))
);

CREATE TABLE saga_decisions (
  id           text        PRIMARY KEY,
  saga_id      text        NOT NULL REFERENCES sagas (id),
  scope        text        NOT NULL,
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
