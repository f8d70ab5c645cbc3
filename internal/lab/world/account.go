package world

import "strings"

// secondAccount begins the references of another account at the same provider:
// the naive shop of the laboratory has one. The shop's account does not see it,
// neither in its lists and balance nor in its webhooks; the naive shop asked for
// none. Whoever names a reference, a charge or a key finds it.
const secondAccount = "nai_"

// ofFirstAccount is what SQL asks of rows that nobody named.
const ofFirstAccount = `reference NOT LIKE 'nai\_%'`

func ofSecondAccount(reference string) bool { return strings.HasPrefix(reference, secondAccount) }
