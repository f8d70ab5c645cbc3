package wire

import (
	"database/sql"

	"github.com/google/uuid"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
)

// PaymentView is a payment as the contract shows it.
func PaymentView(p checkout.Payment) Payment {
	v := Payment{
		ID: PrefixPayment.ID(p.ID), OrderID: PrefixOrder.ID(p.OrderID), Status: PaymentStatus(p.Status),
		AmountMinor: p.AmountMinor, Currency: p.Currency, RefundedMinor: p.RefundedMinor, AttemptNo: p.AttemptNo,
		ProviderChargeID: textOrNull(p.ProviderChargeID), DeclineCode: textOrNull(p.DeclineCode),
		Version: p.Version, CreatedAt: At(p.CreatedAt),
	}
	if p.CapturedAt.Valid {
		v.CapturedAt = AtOrNull(&p.CapturedAt.Time)
	}
	return v
}

// OrderView is an order as the contract shows it, with the tickets it has.
func OrderView(o checkout.Order, tickets []Ticket) Order {
	if tickets == nil {
		tickets = []Ticket{}
	}
	return Order{
		ID: PrefixOrder.ID(o.ID), Status: OrderStatus(o.Status), Items: itemViews(o.Lines),
		AmountMinor: o.AmountMinor, Currency: o.Currency, Email: string(o.Email), CreatedAt: At(o.CreatedAt),
		Payment: PaymentView(o.Payment), Tickets: tickets,
	}
}

// TicketView is a ticket as the contract shows it.
func TicketView(id uuid.UUID, line, number int, code, status string) Ticket {
	return Ticket{ID: PrefixTicket.ID(id), Line: line, Number: number, Code: code, Status: TicketStatus(status)}
}

// ConcertView is something on sale as the contract shows it.
func ConcertView(i checkout.Item) Concert {
	return Concert{
		Sku: i.SKU, Name: i.Name, Venue: i.Venue, Date: i.Date,
		UnitAmountMinor: i.Price.AmountMinor, Currency: i.Price.Currency,
	}
}

func itemViews(lines []event.Line) []OrderItem {
	items := make([]OrderItem, 0, len(lines))
	for _, l := range lines {
		items = append(items, OrderItem{Sku: l.SKU, Name: l.Name, Quantity: l.Quantity, UnitAmountMinor: l.UnitAmountMinor})
	}
	return items
}

func textOrNull(s sql.NullString) *string {
	if !s.Valid {
		return nil
	}
	return &s.String
}
