package email

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
)

// A letter is a mail before it is queued. Everything in it is made of the event,
// so the same event always makes the same letter.
type letter struct {
	merchant, payment uuid.UUID
	amount            money.Money
	template          string
	businessKey       string
	recipient         event.Address
	subject           string
	body              string
	traceparent       string
}

// messageID is how mailboxes recognise a mail that was sent twice.
func (l letter) messageID() string {
	return fmt.Sprintf("<%s.%s@payonce>", l.template, l.businessKey)
}

// receipt is written once for each payment.
func (c Consumer) receipt(e event.PaymentCaptured) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "Thank you. We have received your payment of %s.\n\n", e.Amount)
	for _, l := range e.Lines {
		price := money.Of(int64(l.Quantity)*l.UnitAmountMinor, e.Amount.Currency)
		fmt.Fprintf(&b, "  %d x %s: %s\n", l.Quantity, oneLine(l.Name), price)
	}
	fmt.Fprintf(&b, "  Total: %s\n\n", e.Amount)
	fmt.Fprintf(&b, "Your tickets: %s\n\n", c.link(e.OrderID))
	fmt.Fprintf(&b, "Order    %s\nPayment  %s\n\n", event.OrderName(e.OrderID), event.PaymentName(e.PaymentID))
	b.WriteString("You paid once. Should this mail reach you twice, it is the same receipt.\n")
	return letter{
		merchant: e.MerchantID, payment: e.PaymentID, amount: e.Amount,
		template: Receipt, businessKey: event.PaymentName(e.PaymentID),
		recipient: e.Email, subject: "Your receipt: " + e.Amount.String(), body: b.String(),
	}
}

// declined is written once for each attempt that the bank refused.
func (c Consumer) declined(e event.PaymentDeclined) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "Your payment of %s did not go through: %s.\n%s\n\n", e.Amount, reason(e.DeclineCode), moved(e.DeclineCode))
	fmt.Fprintf(&b, "You can try again: %s\n\n", c.link(e.OrderID))
	fmt.Fprintf(&b, "Order    %s\nPayment  %s, attempt %d\n", event.OrderName(e.OrderID), event.PaymentName(e.PaymentID), e.AttemptNo)
	return letter{
		merchant: e.MerchantID, payment: e.PaymentID, amount: e.Amount,
		template: Declined, businessKey: fmt.Sprintf("%s.%d", event.PaymentName(e.PaymentID), e.AttemptNo),
		recipient: e.Email, subject: "Your payment of " + e.Amount.String() + " was declined", body: b.String(),
	}
}

// refunded is written once for each refund that went through.
func (c Consumer) refunded(e event.RefundCompleted) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "We have sent %s back to your card.\n\n", e.Amount)
	fmt.Fprintf(&b, "Your order: %s\n\n", c.link(e.OrderID))
	b.WriteString(refundNames(e.Refund))
	b.WriteString("\nIt goes back once. Should this mail reach you twice, it is the same refund.\n")
	return refundLetter(e.Refund, Refunded, "Your refund: "+e.Amount.String(), b.String())
}

// refundFailed is written once for each refund that was refused.
func (c Consumer) refundFailed(e event.RefundFailed) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "We could not send %s back: %s.\n", e.Amount, refundReason(e.FailureCode))
	b.WriteString("This request moved no money and changed none of your tickets.\n\n")
	fmt.Fprintf(&b, "Your order: %s\n\n", c.link(e.OrderID))
	b.WriteString(refundNames(e.Refund))
	return refundLetter(e.Refund, RefundFailed, "Your refund of "+e.Amount.String()+" was not possible", b.String())
}

// refundRecorded is written once for each refund that was made at the provider. It
// says what the provider says: who asked for it is not known here.
func (c Consumer) refundRecorded(e event.RefundRecorded) letter {
	var b strings.Builder
	fmt.Fprintf(&b, "Our payment provider has sent %s back to your card.\n", e.Amount)
	if e.Whole {
		b.WriteString("With it, all that you paid for this order has gone back, and its tickets are no longer valid.\n")
	} else {
		b.WriteString("It is a part of what you paid. Your tickets are not changed by it.\n")
	}
	fmt.Fprintf(&b, "\nYour order: %s\n\n", c.link(e.OrderID))
	b.WriteString(refundNames(e.Refund))
	b.WriteString("\nIt goes back once. Should this mail reach you twice, it is the same refund.\n")
	return refundLetter(e.Refund, Refunded, "Your refund: "+e.Amount.String(), b.String())
}

func refundNames(r event.Refund) string {
	return fmt.Sprintf("Order    %s\nPayment  %s\nRefund   %s\n", event.OrderName(r.OrderID), event.PaymentName(r.PaymentID), event.RefundName(r.RefundID))
}

func refundLetter(r event.Refund, template, subject, body string) letter {
	return letter{
		merchant: r.MerchantID, payment: r.PaymentID, amount: r.Amount,
		template: template, businessKey: event.RefundName(r.RefundID),
		recipient: r.Email, subject: subject, body: body,
	}
}

// refundReasons are the failure codes that mean something to a buyer.
var refundReasons = map[string]string{
	"ticket_used":         "one of the tickets has been used",
	"refund_not_possible": "the bank does not take it back",
	"no_answer":           "a part of the shop did not answer in time",
}

func refundReason(code string) string {
	if r, known := refundReasons[code]; known {
		return r
	}
	return "it was refused"
}

func (c Consumer) link(order uuid.UUID) string {
	return strings.TrimRight(c.PublicURL, "/") + "/?order=" + url.QueryEscape(event.OrderName(order))
}

// reasons are the decline codes that a buyer can do something about.
var reasons = map[string]string{
	"insufficient_funds": "the account does not have enough funds",
	"invalid_token":      "the card is not known",
	"abandoned":          "the bank did not answer in time, and the charge was called off",
	"given_back":         "the charge was taken back",
}

// moved says what became of the money of a payment that was declined.
func moved(code string) string {
	if code == "given_back" {
		return "What was charged has been sent back to your card."
	}
	return "No money has moved."
}

func reason(code string) string {
	if r, known := reasons[code]; known {
		return r
	}
	return "the bank declined it"
}

// oneLine makes text from outside harmless: valid UTF-8, no control character,
// no line break, so that it stays inside the line it is put into.
func oneLine(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}
