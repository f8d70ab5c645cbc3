package journal

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"
)

// Level says what a [Journal] writes down.
type Level string

// Levels of a journal.
const (
	All      Level = "all"      // the attempts, and the picture of what happened to each story
	Attempts Level = "attempts" // the attempts alone: the live view stands still
	Off      Level = "off"      // nothing: no attempt is listed
)

// storiesPerSecond is how many stories a process draws. No person can follow more, and a
// capture writes five rows for its picture.
const storiesPerSecond = 200

// picture chooses which stories are drawn. Above [storiesPerSecond] it is a part of them,
// each from its beginning to its end: the choice goes by the id, so that every process
// makes the same one. What belongs to no story is always drawn.
type picture struct {
	second int64
	seen   map[uuid.UUID]struct{} // the stories of this second
	share  uint32                 // of all ids, those that are drawn
}

func newPicture() picture { return picture{seen: map[uuid.UUID]struct{}{}, share: math.MaxUint32} }

func (p *picture) draws(story uuid.UUID, at time.Time) bool {
	if story == uuid.Nil {
		return true
	}
	if second := at.Unix(); second > p.second {
		p.share = math.MaxUint32
		if n := len(p.seen); n > storiesPerSecond {
			p.share = uint32(math.MaxUint32 / float64(n) * storiesPerSecond)
		}
		p.second = second
		clear(p.seen)
	}
	p.seen[story] = struct{}{}
	return binary.BigEndian.Uint32(story[12:]) <= p.share
}
