package checkout

import "payonce/internal/shop/money"

// Item is something on sale.
type Item struct {
	SKU   string
	Name  string
	Venue string
	Date  string
	Price money.Money
}

// Catalogue is what the shop sells. Prices come from here and never from a
// client.
func Catalogue() []Item {
	return []Item{
		{SKU: "concert-a", Name: "The Idempotents — Once More, With Feeling", Venue: "Confirm Hall, Berlin", Date: "2027-03-12", Price: money.Of(4200, "EUR")},
		{SKU: "concert-b", Name: "At Least Once Ensemble", Venue: "Outbox Theatre, Utrecht", Date: "2027-04-02", Price: money.Of(2850, "EUR")},
		{SKU: "concert-c", Name: "Saga & The Compensations", Venue: "Pivot Arena, Gdańsk", Date: "2027-05-21", Price: money.Of(6900, "EUR")},
	}
}

func itemBySKU(sku string) (Item, bool) {
	for _, i := range Catalogue() {
		if i.SKU == sku {
			return i, true
		}
	}
	return Item{}, false
}
