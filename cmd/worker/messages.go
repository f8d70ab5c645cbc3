package main

import (
	"context"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
)

// providerMessages deals out what the provider sent by itself: refunds to those who know
// refunds, the rest to the checkout, which refuses what it does not know.
func providerMessages(charges, refunds patterns.Handler) patterns.Handler {
	return func(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
		var ofCharges, ofRefunds []inbox.Message
		for _, m := range batch {
			switch m.Type {
			case event.TypeProviderRefundSucceeded, event.TypeProviderRefundFailed:
				ofRefunds = append(ofRefunds, m)
			default:
				ofCharges = append(ofCharges, m)
			}
		}
		if len(ofRefunds) > 0 {
			if err := refunds(ctx, tx, ofRefunds); err != nil {
				return err
			}
		}
		if len(ofCharges) == 0 {
			return nil
		}
		return charges(ctx, tx, ofCharges)
	}
}
