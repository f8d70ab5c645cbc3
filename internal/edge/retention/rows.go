package retention

import (
	"time"

	"payonce/internal/edge/recording"
	keep "payonce/once/retention"
)

const oldAttemptsSQL = `
DELETE FROM attempts WHERE id IN (
  SELECT id FROM attempts
   WHERE id < uuid_v7_floor(clock_timestamp() - CAST(@window AS float8) * interval '1 second')
   ORDER BY id LIMIT @most)`

// A sandbox in which nothing was ordered for a day goes: anybody can make one. Its
// cookie stays good, and makes it again when it is needed. One that was revoked
// stays, because its row says so: its two hashes are equal.
const emptySandboxesSQL = `
DELETE FROM merchants WHERE id IN (
  SELECT id FROM merchants m
   WHERE created_at < clock_timestamp() - CAST(@window AS float8) * interval '1 second'
     AND session_hash <> api_key_hash
     AND NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = m.id)
   LIMIT @most FOR UPDATE SKIP LOCKED)`

// EmptySandbox is how long a sandbox lives in which nothing is ordered.
const EmptySandbox = 24 * time.Hour

// rows are the shop's own tables whose rows go by age.
func (k *Keeper) rows() []keep.Rows {
	return []keep.Rows{
		{Table: "attempts", Remove: keep.OlderThan("", k.cfg.Windows.Attempts, oldAttemptsSQL)},
		{Table: "recordings", Remove: recording.RemoveExpired},
		{Table: "merchants", Remove: keep.OlderThan("", EmptySandbox, emptySandboxesSQL)},
	}
}
