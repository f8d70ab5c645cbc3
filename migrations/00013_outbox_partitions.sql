-- +goose Up

-- A relay reads the partitions that it owns and steps over nothing of what the
-- others own, however far behind they are. During a rolling deployment the relay
-- of before finds its rows by this index too and sorts them, which costs time
-- only while there is a backlog.
CREATE INDEX outbox_unpublished_of_partition ON outbox_events (partition_no, seq) WHERE published_at IS NULL;
DROP INDEX outbox_unpublished;
COMMENT ON COLUMN outbox_events.partition_no IS 'A hash of aggregate_id: all events of an aggregate are in one of 16 shares, and a share has one owner among the living relays.';

-- +goose Down
CREATE INDEX outbox_unpublished ON outbox_events (seq) WHERE published_at IS NULL;
DROP INDEX outbox_unpublished_of_partition;
