-- +goose Up
CREATE TABLE recordings (
  payment_id   uuid        PRIMARY KEY REFERENCES payments (id),
  merchant_id  uuid        NOT NULL REFERENCES merchants (id),
  body         bytea       NOT NULL,
  recorded_at  timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL
);
CREATE INDEX recordings_expiring ON recordings (expires_at);
COMMENT ON TABLE recordings IS 'Runs that were shared: what the journal held of a payment when its buyer made a link. Read by whoever has the link; replaced by the next recording of the payment.';

-- +goose Down
DROP TABLE recordings;
