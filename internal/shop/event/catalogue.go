package event

import (
	"reflect"
	"slices"
	"strings"
)

// Described is a type of message with what it says and what it carries.
type Described struct {
	Type  string
	Means string
	// Command says that it asks for something instead of telling what happened.
	Command bool
	payload any
}

// Catalogue describes every event and command, in the order in which a payment
// and its refund meet them. Replies of the saga are not listed: each is its
// command's type and ".done" or ".failed".
var Catalogue = []Described{
	{Type: TypeOrderPlaced, Means: "An order and its payment exist.", payload: OrderPlaced{}},
	{Type: TypePaymentCaptured, Means: "The provider holds the money.", payload: PaymentCaptured{}},
	{Type: TypePaymentDeclined, Means: "The provider refused one attempt.", payload: PaymentDeclined{}},
	{Type: TypeTicketsIssued, Means: "An order has its tickets.", payload: TicketsIssued{}},
	{Type: TypeProviderChargeSucceeded, Means: "A signed message of the provider: a charge succeeded. A hint, whose truth is asked for.", payload: ProviderCharge{}},
	{Type: TypeProviderChargeFailed, Means: "A signed message of the provider: a charge was declined. A hint, whose truth is asked for.", payload: ProviderCharge{}},
	{Type: TypeRefundRequested, Means: "Money is to go back, and is reserved for that.", payload: RefundRequested{}},
	{Type: CommandHoldRefund, Means: "Hold the amount in the book.", Command: true, payload: Refund{}},
	{Type: CommandReleaseRefund, Means: "Take the hold back.", Command: true, payload: Refund{}},
	{Type: CommandVoidTickets, Means: "Void the order's tickets.", Command: true, payload: Refund{}},
	{Type: CommandReinstateTickets, Means: "Make them valid again.", Command: true, payload: Refund{}},
	{Type: CommandRefund, Means: "Give the money back: the pivot, which nothing undoes.", Command: true, payload: Refund{}},
	{Type: CommandSettleRefund, Means: "Book that it has gone back.", Command: true, payload: Refund{}},
	{Type: TypeProviderRefundSucceeded, Means: "A signed message of the provider: a refund succeeded.", payload: ProviderRefund{}},
	{Type: TypeProviderRefundFailed, Means: "A signed message of the provider: a refund failed.", payload: ProviderRefund{}},
	{Type: TypeRefundCompleted, Means: "The money went back.", payload: RefundCompleted{}},
	{Type: TypeRefundFailed, Means: "It did not, and everything else was taken back.", payload: RefundFailed{}},
	{Type: TypeRefundReservationClosed, Means: "The payment has taken over a refund's outcome, and other refunds of it are open.", payload: RefundReservationClosed{}},
	{Type: TypeRefundRecorded, Means: "Money went back at the provider without a request here, and is booked as a refund.", payload: RefundRecorded{}},
}

// Fields are the names in the payload, in its order.
func (d Described) Fields() []string { return fields(reflect.TypeOf(d.payload)) }

func fields(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			all = append(all, fields(f.Type)...)
		case name != "" && name != "-":
			all = append(all, name)
		}
	}
	return all
}

// Readers are the consumers that are bound for it.
func (d Described) Readers() []string {
	all := []string{}
	for _, c := range Consumers {
		if slices.Contains(c.Types, d.Type) {
			all = append(all, c.Name)
		}
	}
	return all
}
