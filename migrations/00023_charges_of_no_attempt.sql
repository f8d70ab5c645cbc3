-- +goose Up
-- Null by default, so no row is rewritten.
ALTER TABLE payments ADD COLUMN unknown_charge_at timestamptz;
COMMENT ON COLUMN payments.unknown_charge_at IS 'The provider told of a charge for this payment that no attempt asked for: the next attempt, also the first one, asks whether it holds money.';

-- +goose Down
ALTER TABLE payments DROP COLUMN unknown_charge_at;
