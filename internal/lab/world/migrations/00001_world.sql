-- +goose Up

CREATE TABLE charges (
    id              text        COLLATE "C" NOT NULL,
    reference       text        NOT NULL,
    idempotency_key text,
    amount_minor    bigint      NOT NULL,
    currency        char(3)     NOT NULL,
    status          text        NOT NULL,
    decline_code    text,
    created_at      timestamptz NOT NULL,
    CONSTRAINT charges_pkey PRIMARY KEY (id),
    CONSTRAINT charges_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
    CONSTRAINT charges_status CHECK (status IN ('succeeded', 'declined', 'cancelled')),
    CONSTRAINT charges_decline CHECK ((status = 'declined') = (decline_code IS NOT NULL))
);
COMMENT ON TABLE charges IS
    'Every charge ever made, never changed and never deleted. The key is deliberately not unique: the books record what happened, charge_keys decides what may happen.';
CREATE INDEX charges_reference ON charges (reference, id);
CREATE INDEX charges_key ON charges (idempotency_key, id) WHERE idempotency_key IS NOT NULL;

CREATE TABLE charge_keys (
    key             text        NOT NULL,
    cancelled       boolean     NOT NULL DEFAULT false,
    request_hash    bytea,
    charge_id       text,
    response_status integer,
    response_body   bytea,
    created_at      timestamptz NOT NULL,
    CONSTRAINT charge_keys_pkey PRIMARY KEY (key),
    CONSTRAINT charge_keys_charge FOREIGN KEY (charge_id) REFERENCES charges (id),
    -- An answer is stored whole or not at all, and only a tombstone may have none.
    CONSTRAINT charge_keys_answer CHECK (
        num_nonnulls(request_hash, charge_id, response_status, response_body) = 4
        OR (cancelled AND num_nonnulls(request_hash, charge_id, response_status, response_body) = 0)
    )
);
COMMENT ON TABLE charge_keys IS
    'One row per Idempotency-Key with an outcome: the stored answer, or the tombstone that a cancel left for whoever arrives late.';

CREATE TABLE card_tries (
    subject  text        NOT NULL,
    token    text        NOT NULL,
    first_at timestamptz NOT NULL,
    CONSTRAINT card_tries_pkey PRIMARY KEY (subject, token)
);
COMMENT ON TABLE card_tries IS
    'Which key (or, without a key, which reference) a misbehaving test card has already troubled, so that the next try works, also after a restart.';

CREATE TABLE mail_arrivals (
    arrival_id  text        NOT NULL,
    recipient   text        NOT NULL,
    message_id  text        NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT mail_arrivals_pkey PRIMARY KEY (arrival_id, recipient)
);
COMMENT ON TABLE mail_arrivals IS
    'Every DATA that was accepted, twins included: what a mailbox that dedupes would otherwise hide.';
CREATE INDEX mail_arrivals_message ON mail_arrivals (message_id, recipient, received_at);

CREATE TABLE mail_messages (
    id          text        COLLATE "C" NOT NULL,
    message_id  text        NOT NULL,
    recipient   text        NOT NULL,
    sender      text        NOT NULL,
    subject     text        NOT NULL,
    body_text   text        NOT NULL,
    deliveries  integer     NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT mail_messages_pkey PRIMARY KEY (id),
    CONSTRAINT mail_messages_once UNIQUE (message_id, recipient),
    CONSTRAINT mail_messages_deliveries CHECK (deliveries >= 1)
);
COMMENT ON TABLE mail_messages IS
    'What a person sees: one message per Message-ID and mailbox, with how often it was delivered.';
CREATE INDEX mail_messages_recipient ON mail_messages (lower(recipient), id DESC);

CREATE TABLE mail_greylist (
    recipient text        NOT NULL,
    first_at  timestamptz NOT NULL,
    CONSTRAINT mail_greylist_pkey PRIMARY KEY (recipient)
);
COMMENT ON TABLE mail_greylist IS
    'Recipients that were sent away once with a 451 and are welcome from now on.';
