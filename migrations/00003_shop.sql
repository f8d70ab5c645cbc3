-- +goose Up

CREATE TABLE orders (
  id            uuid        PRIMARY KEY,
  merchant_id   uuid        NOT NULL REFERENCES merchants (id),
  request_key   text        NOT NULL,
  status        text        NOT NULL CONSTRAINT orders_status CHECK (status IN ('awaiting_payment', 'paid', 'partially_refunded', 'refunded')),
  email         text        NOT NULL,
  amount_minor  bigint      NOT NULL CONSTRAINT orders_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
  currency      char(3)     NOT NULL,
  items         jsonb       NOT NULL,
  version       bigint      NOT NULL DEFAULT 1,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT orders_request_once UNIQUE (merchant_id, request_key)
);
CREATE INDEX orders_newest ON orders (merchant_id, id DESC);
COMMENT ON TABLE orders IS 'What a buyer asked for. request_key is unique for ever: a retry after the key''s TTL still finds its order.';

CREATE TABLE payments (
  id                     uuid        PRIMARY KEY,
  merchant_id            uuid        NOT NULL REFERENCES merchants (id),
  order_id               uuid        NOT NULL REFERENCES orders (id) CONSTRAINT payments_one_per_order UNIQUE,
  status                 text        NOT NULL CONSTRAINT payments_status CHECK (status IN
                           ('requires_capture', 'capturing', 'in_doubt', 'captured', 'declined', 'partially_refunded', 'refunded')),
  amount_minor           bigint      NOT NULL CONSTRAINT payments_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
  currency               char(3)     NOT NULL,
  refunded_minor         bigint      NOT NULL DEFAULT 0 CONSTRAINT payments_refunded CHECK (refunded_minor >= 0),
  refund_reserved_minor  bigint      NOT NULL DEFAULT 0 CONSTRAINT payments_reserved CHECK (refund_reserved_minor >= 0),
  attempt_no             integer     NOT NULL DEFAULT 0,
  provider_charge_id     text        CONSTRAINT payments_charge_once UNIQUE,
  decline_code           text,
  captured_at            timestamptz,
  version                bigint      NOT NULL DEFAULT 0,
  created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT payments_refund_bound CHECK (refunded_minor + refund_reserved_minor <= amount_minor),
  CONSTRAINT payments_captured CHECK (status NOT IN ('captured', 'partially_refunded', 'refunded') OR (provider_charge_id IS NOT NULL AND captured_at IS NOT NULL))
);
CREATE INDEX payments_newest ON payments (merchant_id, id DESC);
COMMENT ON TABLE payments IS 'One per order. version counts its events; every status change is an UPDATE guarded by the status it leaves.';

CREATE TABLE payment_attempts (
  payment_id          uuid        NOT NULL REFERENCES payments (id),
  attempt_no          integer     NOT NULL,
  merchant_id         uuid        NOT NULL,
  provider_key        text        NOT NULL CONSTRAINT payment_attempts_provider_key_once UNIQUE,
  amount_minor        bigint      NOT NULL,
  currency            char(3)     NOT NULL,
  card_token          text,
  opened_by           text        NOT NULL,
  holder              uuid        NOT NULL,
  fence               bigint      NOT NULL DEFAULT 1,
  lease_until         timestamptz,
  status              text        NOT NULL CONSTRAINT payment_attempts_status CHECK (status IN ('sending', 'in_doubt', 'succeeded', 'declined', 'abandoned', 'not_sent', 'refused')),
  provider_charge_id  text,
  decline_code        text,
  asked               integer     NOT NULL DEFAULT 0,
  next_ask_at         timestamptz,
  traceparent         text        NOT NULL DEFAULT '',
  sent_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at         timestamptz,
  contradicted_at     timestamptz,
  PRIMARY KEY (payment_id, attempt_no),
  CONSTRAINT payment_attempts_token_erased CHECK (status IN ('sending', 'in_doubt') OR card_token IS NULL)
);
CREATE INDEX payment_attempts_unfinished ON payment_attempts (next_ask_at) WHERE status IN ('sending', 'in_doubt');
COMMENT ON COLUMN payment_attempts.fence IS 'Grows with each take-over: a holder that slept through its lease cannot finish.';
COMMENT ON COLUMN payment_attempts.contradicted_at IS 'The provider said the opposite of the stored outcome later: a person decides, and no new attempt may start.';
COMMENT ON TABLE payment_attempts IS 'Each try to charge, under a provider key of its own. Recovery always speaks of one of these rows; the card token is erased with the outcome.';

CREATE TABLE tickets (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid        NOT NULL,
  order_id     uuid        NOT NULL REFERENCES orders (id),
  payment_id   uuid        NOT NULL,
  line         integer     NOT NULL,
  number       integer     NOT NULL,
  code         text        NOT NULL CONSTRAINT tickets_code_once UNIQUE,
  status       text        NOT NULL DEFAULT 'issued' CONSTRAINT tickets_status CHECK (status IN ('issued', 'void', 'used')),
  issued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT tickets_once UNIQUE (order_id, line, number)
);
COMMENT ON TABLE tickets IS 'One row per seat sold; unique by order, line and number for ever.';

CREATE TABLE ledger_accounts (
  id           uuid        PRIMARY KEY,
  merchant_id  uuid        NOT NULL,
  code         text        NOT NULL,
  currency     char(3)     NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT ledger_accounts_once UNIQUE (merchant_id, code, currency)
);
COMMENT ON TABLE ledger_accounts IS 'The accounts of each merchant''s book: provider_clearing, revenue and, for refunds, refunds_held.';

CREATE TABLE ledger_transactions (
  id            uuid        PRIMARY KEY,
  merchant_id   uuid        NOT NULL,
  business_key  text        NOT NULL CONSTRAINT ledger_transactions_once UNIQUE,
  kind          text        NOT NULL,
  payment_id    uuid        NOT NULL,
  event_id      uuid        NOT NULL,
  posted_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ledger_transactions_of_payment ON ledger_transactions (payment_id);
COMMENT ON TABLE ledger_transactions IS 'Double entry: each transaction names its business cause once and for ever. Immutable.';

CREATE TABLE ledger_entries (
  id              uuid    PRIMARY KEY,
  merchant_id     uuid    NOT NULL,
  transaction_id  uuid    NOT NULL REFERENCES ledger_transactions (id) DEFERRABLE INITIALLY IMMEDIATE,
  account_id      uuid    NOT NULL REFERENCES ledger_accounts (id),
  amount_minor    bigint  NOT NULL CONSTRAINT ledger_entries_not_zero CHECK (amount_minor <> 0),
  currency        char(3) NOT NULL
);
CREATE INDEX ledger_entries_of_transaction ON ledger_entries (transaction_id);
CREATE INDEX ledger_entries_of_account ON ledger_entries (account_id);
COMMENT ON TABLE ledger_entries IS 'Signed amounts: debit positive, credit negative. Each transaction sums to zero per currency. Immutable.';

-- +goose StatementBegin
CREATE FUNCTION ledger_transaction_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
-- Runs once per transaction, at commit: all entries are there by then. One
-- aggregate and no EXISTS: for that the planner hopes to meet a row early and
-- walks the whole table, at the end of which these entries are.
DECLARE
  currencies integer;
  lopsided integer;
BEGIN
  SELECT count(*), count(*) FILTER (WHERE total <> 0) INTO currencies, lopsided
    FROM (SELECT sum(amount_minor) AS total FROM ledger_entries WHERE transaction_id = NEW.id GROUP BY currency) AS sums;
  IF currencies = 0 THEN
    RAISE EXCEPTION 'ledger transaction % has no entries', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'ledger_transaction_balanced';
  END IF;
  IF lopsided > 0 THEN
    RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'ledger_transaction_balanced';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER ledger_transaction_balanced AFTER INSERT ON ledger_transactions
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transaction_balanced();

-- +goose StatementBegin
CREATE FUNCTION ledger_entries_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
-- Entries that are added later, without a new transaction row, must balance among themselves too.
BEGIN
  IF EXISTS (SELECT 1 FROM added GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0) THEN
    RAISE EXCEPTION 'ledger entries of one statement must sum to zero per transaction and currency' USING ERRCODE = '23514', CONSTRAINT = 'ledger_entries_balanced';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balanced();

-- +goose StatementBegin
CREATE FUNCTION ledger_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is immutable: post a correction instead' USING ERRCODE = '23514', CONSTRAINT = 'ledger_is_immutable';
END $$;
-- +goose StatementEnd
CREATE TRIGGER ledger_transactions_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_immutable();
CREATE TRIGGER ledger_entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_immutable();

CREATE TABLE emails (
  id               uuid        PRIMARY KEY,
  merchant_id      uuid        NOT NULL,
  payment_id       uuid        NOT NULL,
  template         text        NOT NULL,
  business_key     text        NOT NULL,
  message_id       text        NOT NULL CONSTRAINT emails_message_id_once UNIQUE,
  recipient        text        NOT NULL,
  subject          text        NOT NULL,
  body             text        NOT NULL,
  status           text        NOT NULL DEFAULT 'queued' CONSTRAINT emails_status CHECK (status IN ('queued', 'sent', 'failed')),
  attempts         integer     NOT NULL DEFAULT 0,
  lease_token      uuid,
  lease_until      timestamptz,
  next_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_error       text,
  traceparent      text        NOT NULL DEFAULT '',
  queued_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at          timestamptz,
  CONSTRAINT emails_once UNIQUE (template, business_key)
);
CREATE INDEX emails_due ON emails (next_attempt_at) WHERE status = 'queued';
CREATE INDEX emails_of_payment ON emails (payment_id);
COMMENT ON TABLE emails IS 'One row per mail that is owed; queued in the inbox transaction, sent by the mailer under a lease with a deterministic Message-ID.';

-- +goose Down
DROP TABLE emails, ledger_entries, ledger_transactions, ledger_accounts, tickets, payment_attempts, payments, orders;
DROP FUNCTION ledger_transaction_balanced(), ledger_entries_balanced(), ledger_is_immutable();
