-- Package idempotency: one row for each key that a client named, and the exact answer
-- once there is one. Bytes, because jsonb reorders fields and refuses some strings.
CREATE TABLE idempotency_keys (
  scope              text        NOT NULL, -- one tenant's keys never meet another's
  key                text        NOT NULL,
  operation          text        NOT NULL,
  request_hash       bytea       NOT NULL,
  field_macs         jsonb       NOT NULL, -- a keyed hash for each field: a mismatch is named, no value is revealed
  status             text        NOT NULL CHECK (status IN ('running', 'completed')),
  claim_token        uuid        NOT NULL,
  fence              bigint      NOT NULL DEFAULT 1, -- grows with each take-over
  lease_until        timestamptz,
  subject_id         text, -- the thing, and which try at it, that the key began
  subject_no         integer,
  response_status    integer,
  response_headers   bytea,
  response_body      bytea,
  resource_ref       text,
  created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at         timestamptz NOT NULL,
  PRIMARY KEY (scope, key),
  CHECK (status <> 'completed' OR (response_status IS NOT NULL AND response_headers IS NOT NULL AND response_body IS NOT NULL))
);
CREATE INDEX idempotency_keys_subject ON idempotency_keys (subject_id, subject_no) WHERE subject_id IS NOT NULL;
-- Retention deletes from here, in small batches.
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
