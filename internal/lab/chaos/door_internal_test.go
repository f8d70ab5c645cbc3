package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWasMadeByHandIsBookedOnceAsItIsAndNothingElseIs(t *testing.T) {
	t.Parallel()
	made := map[string]HandRefund{"re_1": {Payment: "pay_1", Amount: 40}}
	right := bookedByHand{ID: "re_1", Payment: "pay_1", Status: "succeeded", Amount: 40}
	require.Empty(t, judgeBooked(made, []bookedByHand{right}))
	other, more, elsewhere := right, right, right
	other.ID, more.Amount, elsewhere.Payment = "re_2", 41, "pay_2"
	for name, booked := range map[string][]bookedByHand{
		"not at all": {}, "twice": {right, right}, "another one too": {right, other}, "with another amount": {more}, "for another payment": {elsewhere},
	} {
		require.NotEmpty(t, judgeBooked(made, booked), name)
	}
}

func TestAPoisonousLetterIsWhatTheOperatorDecided(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ruled   ruling
		letter  LetterTruth
		allowed bool
	}{
		{ruling{}, LetterTruth{State: "open"}, true},
		{ruling{}, LetterTruth{State: "discarded"}, false},
		{ruling{}, LetterTruth{State: "open", Replays: 1}, false},
		{ruling{}, LetterTruth{State: "applied"}, false},
		{ruling{Action: replayed, Requests: 2}, LetterTruth{State: "open", Replays: 1}, true},
		{ruling{Action: replayed, Requests: 2}, LetterTruth{State: "open", Replays: 2}, true},
		{ruling{Action: replayed, Requests: 2}, LetterTruth{State: "open", Replays: 3}, false},
		{ruling{Action: replayed, Requests: 2}, LetterTruth{State: "open"}, false},
		{ruling{Action: replayed, Requests: 1}, LetterTruth{State: "replayed", Replays: 1}, false},
		{ruling{Action: discarded, Requests: 1}, LetterTruth{State: "discarded"}, true},
		{ruling{Action: discarded, Requests: 1}, LetterTruth{State: "open"}, false},
		{ruling{Action: applied, Requests: 1}, LetterTruth{State: "replayed", Replays: 1}, true},
		{ruling{Action: applied, Requests: 1}, LetterTruth{State: "open", Replays: 1}, false},
	} {
		c.letter.Name = "e at c"
		wrong := judgeLetters([]string{"e at c"}, []LetterTruth{c.letter}, map[string]ruling{"e at c": c.ruled})
		require.Equal(t, c.allowed, len(wrong) == 0, "%+v is %+v", c.ruled, c.letter)
	}
	require.NotEmpty(t, judgeLetters([]string{"e at c"}, nil, nil), "it is not there")
}
