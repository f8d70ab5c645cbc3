-- +goose Up
-- A mail is leased, and put back, on its page: none of its indexes has what a lease changes.
-- See docs/performance.md.
ALTER TABLE emails SET (fillfactor = 50);

-- +goose Down
ALTER TABLE emails RESET (fillfactor);
