-- +goose Up
-- The watch over published events: up to which row they were looked at, and which
-- rows before it were not published yet then. One row, whose lock is the turn.
CREATE TABLE delivery_watch (
  one       boolean PRIMARY KEY DEFAULT true CONSTRAINT delivery_watch_one CHECK (one),
  position  uuid    NOT NULL,
  waiting   uuid[]  NOT NULL DEFAULT '{}'
);
INSERT INTO delivery_watch (position) VALUES (uuid_v7_floor(clock_timestamp()));
COMMENT ON TABLE delivery_watch IS 'Up to which outbox row it was looked whether consumers had applied what was published.';

CREATE TABLE missed_events (
  consumer   text NOT NULL,
  row_id     uuid NOT NULL,
  event_id   uuid NOT NULL,
  PRIMARY KEY (consumer, row_id)
);
COMMENT ON TABLE missed_events IS 'Published events that a consumer had not applied in time; gone when it has.';

CREATE TABLE event_resends (
  id          uuid        PRIMARY KEY,
  consumer    text        NOT NULL,
  born_from   timestamptz NOT NULL,
  born_until  timestamptz NOT NULL,
  queued      bigint      NOT NULL,
  who         text        NOT NULL,
  why         text        NOT NULL,
  decided_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE event_resends IS 'Who had which consumer''s events sent again, and why.';

-- +goose Down
DROP TABLE event_resends, missed_events, delivery_watch;
