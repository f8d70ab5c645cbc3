-- +goose Up

CREATE TABLE sagas (
  id              uuid        PRIMARY KEY,
  merchant_id     uuid        NOT NULL,
  correlation_id  uuid        NOT NULL,
  definition      text        NOT NULL,
  subject_id      uuid        NOT NULL,
  data            bytea       NOT NULL,
  state           text        NOT NULL CONSTRAINT sagas_state CHECK (state IN ('running', 'compensating', 'stuck', 'completed', 'compensated')),
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
CREATE INDEX sagas_of_story ON sagas (correlation_id);
CREATE INDEX sagas_newest ON sagas (merchant_id, id DESC);
COMMENT ON TABLE sagas IS 'One row per story that several owners take part in. Every change is guarded by the version it read, so two orchestrators never both advance.';
COMMENT ON COLUMN sagas.sent IS 'Counts the commands: the aggregate version of the next one.';
COMMENT ON COLUMN sagas.due_at IS 'When somebody has to look although nobody answered; null when only a reply or a person can move it.';

CREATE TABLE saga_steps (
  saga_id      uuid        NOT NULL REFERENCES sagas (id),
  step         text        NOT NULL,
  direction    text        NOT NULL CONSTRAINT saga_steps_direction CHECK (direction IN ('do', 'undo')),
  position     integer     NOT NULL,
  status       text        NOT NULL CONSTRAINT saga_steps_status CHECK (status IN ('pending', 'skipped', 'started', 'done', 'failed')),
  attempts     integer     NOT NULL DEFAULT 0,
  late         integer     NOT NULL DEFAULT 0,
  error        text,
  deadline_at  timestamptz,
  started_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (saga_id, step, direction)
);
COMMENT ON TABLE saga_steps IS 'A saga''s history. A do that is started is an undo that is due: the row commits with the command, before it is sent.';
COMMENT ON COLUMN saga_steps.late IS 'Replies that came when the question was settled: recorded and ignored.';

CREATE TABLE saga_participations (
  saga_id      uuid        NOT NULL,
  step         text        NOT NULL,
  merchant_id  uuid        NOT NULL,
  did          text        CONSTRAINT saga_participations_did CHECK (did IN ('done', 'failed', 'refused')),
  did_reply    bytea,
  undid        text        CONSTRAINT saga_participations_undid CHECK (undid IN ('done', 'nothing', 'failed')),
  undid_reply  bytea,
  asked        integer     NOT NULL DEFAULT 0,
  replies      bigint      NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (saga_id, step),
  CONSTRAINT saga_participations_reply CHECK ((did IS NULL) = (did_reply IS NULL) AND (undid IS NULL) = (undid_reply IS NULL))
);
COMMENT ON TABLE saga_participations IS 'What a participant remembers of a step: a repeat re-sends the stored reply, an undo before its do is remembered so that the late do is refused.';

CREATE TABLE refunds (
  id            uuid        PRIMARY KEY,
  merchant_id   uuid        NOT NULL REFERENCES merchants (id),
  payment_id    uuid        NOT NULL,
  order_id      uuid        NOT NULL,
  request_key   text        NOT NULL,
  status        text        NOT NULL DEFAULT 'pending' CONSTRAINT refunds_status CHECK (status IN ('pending', 'succeeded', 'failed')),
  amount_minor  bigint      NOT NULL CONSTRAINT refunds_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
  currency      char(3)     NOT NULL,
  asked_minor   bigint,
  reason        text        NOT NULL,
  failure_code  text,
  saga_id       uuid        NOT NULL CONSTRAINT refunds_one_saga UNIQUE,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at   timestamptz,
  CONSTRAINT refunds_request_once UNIQUE (payment_id, request_key),
  CONSTRAINT refunds_failure CHECK ((status = 'failed') = (failure_code IS NOT NULL))
);
CREATE INDEX refunds_newest ON refunds (merchant_id, id DESC);
CREATE INDEX refunds_of_payment ON refunds (payment_id);
COMMENT ON TABLE refunds IS 'Money on its way back. request_key is unique per payment for ever: a retry after the key''s TTL still finds its refund.';
COMMENT ON COLUMN refunds.asked_minor IS 'The amount as it was asked for; null meant what was left.';

CREATE TABLE refund_reservations (
  refund_id     uuid        PRIMARY KEY,
  merchant_id   uuid        NOT NULL,
  payment_id    uuid        NOT NULL REFERENCES payments (id),
  amount_minor  bigint      NOT NULL CONSTRAINT refund_reservations_amount CHECK (amount_minor > 0),
  state         text        NOT NULL DEFAULT 'reserved' CONSTRAINT refund_reservations_state CHECK (state IN ('reserved', 'refunded', 'released')),
  reserved_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at    timestamptz,
  CONSTRAINT refund_reservations_settled CHECK ((state = 'reserved') = (settled_at IS NULL))
);
CREATE INDEX refund_reservations_of_payment ON refund_reservations (payment_id);
COMMENT ON TABLE refund_reservations IS 'What payments.refund_reserved_minor is made of: one row per refund, so that each outcome moves the sums once, also after the inbox has forgotten.';

ALTER TABLE tickets ADD COLUMN voided_by uuid;
ALTER TABLE tickets ADD COLUMN used_at timestamptz;
COMMENT ON COLUMN tickets.voided_by IS 'The refund that voided it, so that its undo reinstates these tickets and no others.';
CREATE INDEX tickets_voided_by ON tickets (voided_by) WHERE voided_by IS NOT NULL;

-- +goose Down
ALTER TABLE tickets DROP COLUMN used_at;
ALTER TABLE tickets DROP COLUMN voided_by;
DROP TABLE refund_reservations, refunds, saga_participations, saga_steps, sagas;
