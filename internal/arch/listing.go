package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// listings are the methods of internal/shop/provider and of the mailbox whose answer is
// a list or a sum over one. A part of a list proves nothing of the rest, so each caller
// has to know that it has the whole one.
var listings = []string{
	"ChargesByReference", "RefundsOfCharge", "EachCharge", "EachRefund", "ChargesSince", "RefundsSince", "Balance",
	"EachMail", "MailsByMessageID", "MailsTo",
}

const (
	// alive is the one function that lists for others.
	alive = "provider.Alive"
	// The rooms of those who answer: the provider's adapter, and the provider.
	listingAdapter  = "internal/shop/provider/simulated"
	listingProvider = "internal/lab/world"
	listingMailbox  = "internal/lab/bursts/mailbox.go"
)

// A Listing is a function that asks the provider or the mailbox for lists, and how it knows that
// they are complete.
type Listing struct {
	File, Function string
	Asks           []string
	// Knows says what a list that could not be read to its end is taken for.
	Knows string
	// Test shows it, in TestFile.
	Test, TestFile string
}

// knownListings are all that there are.
var knownListings = []Listing{
	{
		"internal/shop/provider/holding.go", "Alive", []string{"ChargesByReference", "RefundsOfCharge"},
		"an error of either list is its own: no charge is returned",
		"TestAListThatCannotBeReadToItsEndIsUnknownAndNotNoneAndThatIsSaidOnce", "internal/shop/checkout/listing_test.go",
	},
	{
		"internal/shop/checkout/clear.go", "Service.live", []string{alive},
		"with an error nothing is charged; a list that began and did not end is the alert `provider_unlisted`, which a whole list ends",
		"TestAListThatCannotBeReadToItsEndIsUnknownAndNotNoneAndThatIsSaidOnce", "internal/shop/checkout/listing_test.go",
	},
	{
		"internal/shop/checkout/recover.go", "Service.alive", []string{"RefundsOfCharge"},
		"with an error the attempt stays in doubt, and the sweeper asks again",
		"TestAChargeIsNotCapturedWhileItIsUnknownWhatWentBackOfIt", "internal/shop/checkout/holding_test.go",
	},
	{
		"internal/edge/reconciliation/compare.go", "Job.compare", []string{"ChargesSince", "RefundsSince"},
		"with an error of either list the turn has failed, nothing of it is heard, and it is tried again",
		"TestAListThatCannotBeReadToItsEndIsAFailedTurnInWhichNothingIsHeard", "internal/edge/reconciliation/job_test.go",
	},
	{
		"internal/edge/audit/world.go", "pass.askProvider", []string{"Balance", "EachCharge", "EachRefund"},
		"with an error the three invariants about the provider are not observable, and the report proves nothing",
		"TestWhatNobodyCanBeAskedAboutIsNotObservableAndProvesNothing", "internal/edge/audit/audit_test.go",
	},
	{
		"internal/edge/audit/world.go", "pass.askOne", []string{"ChargesByReference", "RefundsOfCharge"},
		"as above; one payment that cannot be asked about ends the look",
		"TestWhatNobodyCanBeAskedAboutIsNotObservableAndProvesNothing", "internal/edge/audit/audit_test.go",
	},
	{
		"internal/edge/audit/mail.go", "pass.askMailbox", []string{"EachMail"},
		"with an error the mails are not observable, and the report proves nothing",
		"TestWhatNobodyCanBeAskedAboutIsNotObservableAndProvesNothing", "internal/edge/audit/audit_test.go",
	},
	{
		"internal/edge/httpapi/proof.go", "server.countOutside", []string{"ChargesByReference", "MailsByMessageID"},
		"with an error the number of charges, or of mails, is null, never a smaller one, and `complete` is false",
		"TestAProofWithoutTheProvidersWholeListCountsNoCharges", "internal/edge/httpapi/evidence_test.go",
	},
	{
		"internal/edge/httpapi/proof.go", "server.countCharges", []string{"RefundsOfCharge"},
		"as above: what went back of one charge is unknown, so the number is",
		"TestAProofWithoutTheProvidersWholeListCountsNoCharges", "internal/edge/httpapi/evidence_test.go",
	},
	{
		"internal/lab/naive/bill.go", "Shop.count", []string{"ChargesByReference", "MailsTo", "RefundsOfCharge"},
		"with an error the naive shop's bill is an error, not a number",
		"TestEachGuardOffShowsItsHarmAndOnTakesItAway", "internal/lab/naive/naive_test.go",
	},
}

// checkListings compares the callers in the source with the list: each stands on
// it with what it asks for, and nothing stands on it that is gone.
func checkListings(tree Tree) []Violation {
	var found []Violation
	seen := map[int]bool{}
	for _, file := range tree.goFiles() {
		if file.IsTest() || file.IsSuite() || under(file.Dir(), listingAdapter) || under(file.Dir(), listingProvider) || file.Path == listingMailbox {
			continue
		}
		for _, caller := range listingsIn(file) {
			i := slices.IndexFunc(knownListings, func(l Listing) bool { return l.File == file.Path && l.Function == caller.Function })
			switch {
			case i < 0:
				found = append(found, Violation{Path: file.Path, Detail: caller.Function + " asks the provider or the mailbox for a list; say in internal/arch/listing.go how it knows that the list is complete"})
				continue
			case !slices.Equal(knownListings[i].Asks, caller.Asks):
				found = append(found, Violation{Path: file.Path, Detail: fmt.Sprintf("%s asks for %v, internal/arch/listing.go says %v", caller.Function, caller.Asks, knownListings[i].Asks)})
			}
			seen[i] = true
		}
	}
	for i, l := range knownListings {
		if !seen[i] {
			found = append(found, Violation{Path: l.File, Detail: l.Function + " asks the provider for no list; take it off the list in internal/arch/listing.go"})
		}
		if test := tree[l.TestFile]; test == nil || !strings.Contains(test.Src, "func "+l.Test+"(") {
			found = append(found, Violation{Path: l.TestFile, Detail: "there is no " + l.Test + ", which internal/arch/listing.go names"})
		}
	}
	return found
}

// listingsIn lists the functions of a file that ask for lists, and for which.
func listingsIn(file *File) (callers []Listing) {
	for _, declared := range file.AST.Decls {
		caller := Listing{File: file.Path, Function: "a declaration"}
		if f, ok := declared.(*ast.FuncDecl); ok {
			caller.Function = nameOf(f)
		}
		ast.Inspect(declared, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if asked := askedBy(s); asked != "" && !slices.Contains(caller.Asks, asked) {
					caller.Asks = append(caller.Asks, asked)
				}
			}
			return true
		})
		if len(caller.Asks) > 0 {
			slices.Sort(caller.Asks)
			callers = append(callers, caller)
		}
	}
	return callers
}

func askedBy(s *ast.SelectorExpr) string {
	if slices.Contains(listings, s.Sel.Name) {
		return s.Sel.Name
	}
	if of, ok := s.X.(*ast.Ident); ok && of.Name+"."+s.Sel.Name == alive {
		return alive
	}
	return ""
}

// nameOf is a function's name, a method's with its type.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// The table of listings stands between these lines of a page.
const (
	beginListings = "<!-- listings: make generate writes this table -->\n"
	endListings   = "<!-- end of listings -->\n"
)

//go:generate go test -count=1 -run ^TestTheTableOfListingsIsThePresentOne$ . -write

// WriteListings returns a page of docs/ with the present table of callers.
func WriteListings(page string) (string, error) {
	before, rest, opened := strings.Cut(page, beginListings)
	_, after, closed := strings.Cut(rest, endListings)
	if !opened || !closed {
		return "", fmt.Errorf("the page has no place for the table of listings: it begins with %q and ends with %q", beginListings, endListings)
	}
	var t strings.Builder
	t.WriteString("| caller | asks for | a list that is not complete | shown by |\n|---|---|---|---|\n")
	for _, l := range knownListings {
		fmt.Fprintf(&t, "| [`%s`](../%s) | `%s` | %s | [`%s`](../%s) |\n", l.Function, l.File, strings.Join(l.Asks, "`, `"), l.Knows, l.Test, l.TestFile)
	}
	return before + beginListings + "\n" + t.String() + "\n" + endListings + after, nil
}
