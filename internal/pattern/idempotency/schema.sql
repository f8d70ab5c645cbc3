-- What this package needs; the shop's migration is its superset.
CREATE TABLE idempotency_keys (
  merchant_id        uuid        NOT NULL, -- the scope: one tenant's keys never meet another's
  key                text        NOT NULL,
  operation          text        NOT NULL,
  request_hash       bytea       NOT NULL,
  field_macs         jsonb       NOT NULL,
  status             text        NOT NULL CHECK (status IN ('running', 'completed')),
  claim_token        uuid        NOT NULL,
  fence              bigint      NOT NULL DEFAULT 1,
  lease_until        timestamptz,
  subject_id         uuid,
  subject_no         integer,
  response_status    integer,
  response_headers   bytea,
  response_body      bytea,
  resource_ref       text,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at         timestamptz NOT NULL,
  PRIMARY KEY (merchant_id, key)
);
CREATE INDEX idempotency_keys_subject ON idempotency_keys (subject_id, subject_no) WHERE subject_id IS NOT NULL;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
