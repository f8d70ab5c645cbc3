-- +goose Up
CREATE INDEX activity_of_payment ON activity (payment_id, id) WHERE payment_id IS NOT NULL;
COMMENT ON INDEX activity_of_payment IS 'A payment''s story and its proof read the journal by payment.';

-- +goose Down
DROP INDEX activity_of_payment;
