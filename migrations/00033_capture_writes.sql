-- +goose Up
-- What a capture changes stays on its page and in its indexes (heap-only updates): room
-- for the next version of a row, and no index on what an update changes. See docs/performance.md.
ALTER TABLE payments SET (fillfactor = 75);
ALTER TABLE orders SET (fillfactor = 85);
ALTER TABLE idempotency_keys SET (fillfactor = 60);

-- A charge is one payment's. The attempt's row is written anew with its outcome anyhow.
ALTER TABLE payments DROP CONSTRAINT payments_charge_once;
CREATE UNIQUE INDEX payment_attempts_charge_once ON payment_attempts (provider_charge_id) WHERE status = 'succeeded';

-- An attempt is made from its payment's row, which is never deleted, and its provider key
-- from its own primary key.
ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_payment_id_fkey;
ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_provider_key_once;

-- A table's CHECK is read from its text and prepared anew by each statement that writes a
-- row, whatever column it sets: a tenth of a capture. A domain's is kept, and asked where
-- its column is set.
CREATE DOMAIN payment_status AS text CONSTRAINT payments_status CHECK
  (VALUE IN ('requires_capture', 'capturing', 'in_doubt', 'captured', 'declined', 'partially_refunded', 'refunded'));
CREATE DOMAIN attempt_status AS text CONSTRAINT payment_attempts_status CHECK
  (VALUE IN ('sending', 'in_doubt', 'succeeded', 'declined', 'abandoned', 'not_sent', 'refused'));
CREATE DOMAIN order_status AS text CONSTRAINT orders_status CHECK
  (VALUE IN ('awaiting_payment', 'paid', 'partially_refunded', 'refunded'));
CREATE DOMAIN key_status AS text CONSTRAINT idempotency_keys_status CHECK (VALUE IN ('running', 'completed'));
CREATE DOMAIN price_minor AS bigint CONSTRAINT price_minor CHECK (VALUE BETWEEN 1 AND 99999999);
CREATE DOMAIN part_minor AS bigint CONSTRAINT part_minor CHECK (VALUE >= 0);
ALTER TABLE payments DROP CONSTRAINT payments_status, DROP CONSTRAINT payments_amount, DROP CONSTRAINT payments_refunded, DROP CONSTRAINT payments_reserved;
ALTER TABLE payments ALTER status TYPE payment_status, ALTER amount_minor TYPE price_minor, ALTER refunded_minor TYPE part_minor, ALTER refund_reserved_minor TYPE part_minor;
ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_status;
ALTER TABLE payment_attempts ALTER status TYPE attempt_status;
ALTER TABLE orders DROP CONSTRAINT orders_status, DROP CONSTRAINT orders_amount;
ALTER TABLE orders ALTER status TYPE order_status, ALTER amount_minor TYPE price_minor;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_status;
ALTER TABLE idempotency_keys ALTER status TYPE key_status;

-- +goose Down
ALTER TABLE payments ALTER status TYPE text, ALTER amount_minor TYPE bigint, ALTER refunded_minor TYPE bigint, ALTER refund_reserved_minor TYPE bigint;
ALTER TABLE payment_attempts ALTER status TYPE text;
ALTER TABLE orders ALTER status TYPE text, ALTER amount_minor TYPE bigint;
ALTER TABLE idempotency_keys ALTER status TYPE text;
DROP DOMAIN payment_status, attempt_status, order_status, key_status, price_minor, part_minor;
ALTER TABLE payments
  ADD CONSTRAINT payments_status CHECK (status IN ('requires_capture', 'capturing', 'in_doubt', 'captured', 'declined', 'partially_refunded', 'refunded')),
  ADD CONSTRAINT payments_amount CHECK (amount_minor BETWEEN 1 AND 99999999),
  ADD CONSTRAINT payments_refunded CHECK (refunded_minor >= 0), ADD CONSTRAINT payments_reserved CHECK (refund_reserved_minor >= 0);
ALTER TABLE payment_attempts ADD CONSTRAINT payment_attempts_status CHECK (status IN ('sending', 'in_doubt', 'succeeded', 'declined', 'abandoned', 'not_sent', 'refused'));
ALTER TABLE orders
  ADD CONSTRAINT orders_status CHECK (status IN ('awaiting_payment', 'paid', 'partially_refunded', 'refunded')),
  ADD CONSTRAINT orders_amount CHECK (amount_minor BETWEEN 1 AND 99999999);
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_status CHECK (status IN ('running', 'completed'));
ALTER TABLE payment_attempts ADD CONSTRAINT payment_attempts_provider_key_once UNIQUE (provider_key);
ALTER TABLE payment_attempts ADD CONSTRAINT payment_attempts_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments (id);
DROP INDEX payment_attempts_charge_once;
ALTER TABLE payments ADD CONSTRAINT payments_charge_once UNIQUE (provider_charge_id);
ALTER TABLE idempotency_keys RESET (fillfactor);
ALTER TABLE orders RESET (fillfactor);
ALTER TABLE payments RESET (fillfactor);
