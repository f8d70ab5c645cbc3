-- Package call: who ended an attempt that the protocol could not, or that the outside
-- contradicted, and why. For those who have 0009: three columns that may be empty; rows
-- that are there stay as they are, and a program of before does not look at them.
ALTER TABLE calls
  ADD COLUMN decided_by   text,
  ADD COLUMN decided_why  text,
  ADD COLUMN decided_at   timestamptz,
  ADD CONSTRAINT calls_decided CHECK ((decided_at IS NULL) = (decided_by IS NULL) AND (decided_at IS NULL) = (decided_why IS NULL));
