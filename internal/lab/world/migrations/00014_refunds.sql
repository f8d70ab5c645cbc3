-- +goose Up

CREATE TABLE refunds (
    id              text        COLLATE "C" NOT NULL,
    charge_id       text        NOT NULL,
    reference       text        NOT NULL,
    idempotency_key text,
    amount_minor    bigint      NOT NULL,
    currency        char(3)     NOT NULL,
    status          text        NOT NULL,
    decline_code    text,
    created_at      timestamptz NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (id),
    CONSTRAINT refunds_charge FOREIGN KEY (charge_id) REFERENCES charges (id),
    CONSTRAINT refunds_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
    CONSTRAINT refunds_status CHECK (status IN ('succeeded', 'declined')),
    CONSTRAINT refunds_decline CHECK ((status = 'declined') = (decline_code IS NOT NULL))
);
COMMENT ON TABLE refunds IS
    'Every refund ever asked for and what became of it. Like charges, it records what happened; refund_keys decides what may happen.';
CREATE INDEX refunds_reference ON refunds (reference, id);
CREATE INDEX refunds_of_charge ON refunds (charge_id, id);

CREATE TABLE refund_keys (
    key          text  NOT NULL,
    request_hash bytea NOT NULL,
    refund_id    text  NOT NULL,
    CONSTRAINT refund_keys_pkey PRIMARY KEY (key),
    CONSTRAINT refund_keys_refund FOREIGN KEY (refund_id) REFERENCES refunds (id)
);
COMMENT ON TABLE refund_keys IS
    'One row per Idempotency-Key of a refund. The answer is made of the refund''s row, which never changes.';

CREATE TABLE refunded (
    charge_id    text   NOT NULL,
    amount_minor bigint NOT NULL,
    CONSTRAINT refunded_pkey PRIMARY KEY (charge_id),
    CONSTRAINT refunded_charge FOREIGN KEY (charge_id) REFERENCES charges (id)
);
COMMENT ON TABLE refunded IS
    'What has gone back of each charge: the row that two refunds of one charge wait for.';

CREATE TABLE charge_cards (
    charge_id text NOT NULL,
    token     text NOT NULL,
    CONSTRAINT charge_cards_pkey PRIMARY KEY (charge_id)
);
COMMENT ON TABLE charge_cards IS
    'The cards whose refunds misbehave, by the charge that they were to pay.';

-- +goose Down
DROP TABLE charge_cards, refunded, refund_keys, refunds;
