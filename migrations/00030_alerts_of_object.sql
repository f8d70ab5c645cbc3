-- +goose Up
-- Whether an alert was ever about an object of the provider is asked in the transaction
-- that books a refund made there, with the payment's row locked.
CREATE INDEX alerts_of_object ON alerts ((facts->>'object')) WHERE facts->>'object' IS NOT NULL;

-- +goose Down
DROP INDEX alerts_of_object;
