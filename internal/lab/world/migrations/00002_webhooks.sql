-- +goose Up

CREATE TABLE webhook_messages (
    id           text        COLLATE "C" NOT NULL,
    kind         text        NOT NULL,
    reference    text        NOT NULL,
    charge_id    text        NOT NULL,
    body         bytea       NOT NULL,
    copies       integer     NOT NULL,
    taken        integer     NOT NULL DEFAULT 0,
    tries        integer     NOT NULL DEFAULT 0,
    state        text        NOT NULL DEFAULT 'pending',
    due_at       timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    CONSTRAINT webhook_messages_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_messages_state CHECK (state IN ('pending', 'delivered', 'given_up', 'lost')),
    CONSTRAINT webhook_messages_copies CHECK (copies BETWEEN 1 AND 10)
);
COMMENT ON TABLE webhook_messages IS
    'What the provider tells the shop by itself: written with the charge, sent at least once, copies times on purpose.';
CREATE INDEX webhook_messages_due ON webhook_messages (due_at) WHERE state = 'pending';
CREATE INDEX webhook_messages_reference ON webhook_messages (reference, id);

CREATE TABLE webhook_deliveries (
    id          text        COLLATE "C" NOT NULL,
    message_id  text        NOT NULL,
    sent_at     timestamptz NOT NULL,
    took_ms     integer     NOT NULL,
    status_code integer,
    error       text,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_message FOREIGN KEY (message_id) REFERENCES webhook_messages (id)
);
COMMENT ON TABLE webhook_deliveries IS
    'The delivery log: every try to deliver a message and what came back. No status code means that no answer came.';
CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message_id, id);
