-- What this package needs; the shop's migration is its superset. Partitions are
-- made ahead of time, one a day, by the range of the UUIDv7 that event_id is.
-- There is no DEFAULT partition on purpose: an event outside the window must be
-- refused, because nobody can say any more whether it was applied.
CREATE TABLE consumer_inbox (
  consumer      text        NOT NULL,
  event_id      uuid        NOT NULL,
  processed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
) PARTITION BY RANGE (event_id);
