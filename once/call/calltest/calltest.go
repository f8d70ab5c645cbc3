// Package calltest judges the protocol of package call over a database: processes that die
// at each step, answers and commits that are lost, sleepers, twins and contradictions, with
// a courier as the outside.
package calltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once"
)

// claims are what the protocol promises, on one database for each driver: an effect of a
// kind of its own for each.
var claims = map[string]func(t *testing.T, d *depot){
	"an attempt that nothing disturbs is one effect and one of what follows":           anAttemptThatNothingDisturbsIsOneEffectAndOneOfWhatFollows,
	"a process may die at any step and the next one too":                               aProcessMayDieAtAnyStepAndTheNextOneToo,
	"a call without an answer is asked about and never taken for no":                   aCallWithoutAnAnswerIsAskedAboutAndNeverTakenForNo,
	"a repetition that was not sent says nothing of the first request":                 aRepetitionThatWasNotSentSaysNothingOfTheFirstRequest,
	"what certainly did nothing is released and the next attempt has a key of its own": whatCertainlyDidNothingIsReleasedAndTheNextAttemptHasAKeyOfItsOwn,
	"twenty who begin at once are one attempt and the others are taken":                twentyWhoBeginAtOnceAreOneAttemptAndTheOthersAreTaken,
	"a sleeper that wakes after its lease gets what is stored":                         aSleeperThatWakesAfterItsLeaseGetsWhatIsStored,
	"an answer that contradicts the stored one is trouble and no new attempt begins":   anAnswerThatContradictsTheStoredOneIsTroubleAndNoNewAttemptBegins,
	"an unknown key is sent again while it is young and buried afterwards":             anUnknownKeyIsSentAgainWhileItIsYoungAndBuriedAfterwards,
	"a doubt that lasts is trouble until it ends":                                      aDoubtThatLastsIsTroubleUntilItEnds,
	"an outcome and what follows from it are one transaction":                          anOutcomeAndWhatFollowsFromItAreOneTransaction,
	"after a lost commit the step is done once":                                        afterALostCommitTheStepIsDoneOnce,
	"a sweep goes on beside an attempt that panics":                                    aSweepGoesOnBesideAnAttemptThatPanics,
	"the loop turns at once when it is hurried and ends with its context":              theLoopTurnsAtOnceWhenItIsHurriedAndEndsWithItsContext,
}

// Run judges [call.Attempts] over db, in which the tables are under schema. The test's own
// tables are made there too.
func Run(t *testing.T, db once.DB, schema once.Schema) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
		for _, table := range []string{`CREATE TABLE parcels (id text PRIMARY KEY)`, `CREATE TABLE labels (parcel text NOT NULL, pick_up text NOT NULL)`} {
			if _, err := tx.Exec(t.Context(), table); err != nil {
				return err
			}
		}
		return nil
	}))
	for claim, holds := range claims {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			holds(t, newDepot(t, db, schema))
		})
	}
}
