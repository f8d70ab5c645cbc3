-- +goose Up

CREATE TABLE payment_resolutions (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid        NOT NULL REFERENCES merchants (id),
  payment_id   uuid        NOT NULL REFERENCES payments (id),
  attempt_no   integer     NOT NULL,
  decision     text        NOT NULL CONSTRAINT payment_resolutions_decision CHECK (decision IN ('accept_provider', 'keep_ours')),
  reason       text        NOT NULL CONSTRAINT payment_resolutions_reason CHECK (length(reason) BETWEEN 1 AND 500),
  decided_by   text        NOT NULL,
  facts        jsonb       NOT NULL,
  decided_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX payment_resolutions_of_payment ON payment_resolutions (payment_id, id);
COMMENT ON TABLE payment_resolutions IS 'What a person decided about a payment on which we and the provider disagreed: who, when, why, and which facts it was decided on. Written in the transaction of its effect; never changed.';

-- +goose Down
DROP TABLE payment_resolutions;
