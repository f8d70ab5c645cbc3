package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReportSaysWithWhichFlagsAnotherCampaignLikeItIsMade(t *testing.T) {
	t.Parallel()
	usual := Options{Actions: AllActions, Buyers: DefaultBuyers, Rate: DefaultRate}
	require.Empty(t, usual.args())
	light := Options{Actions: []string{"kill"}, Buyers: 12, Rate: 7.5, Cluster: true, FaultsOnly: true}
	require.Equal(t, " ARGS='--cluster --actions=kill --buyers=12 --rate=7.5 --faults-only'", light.args())
}
