package simulated

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"

	"payonce/internal/shop/provider"
)

// longestPage is the most that the provider puts on one page of a listing.
const longestPage = "1000"

// page is one page of a listing, and where the next begins: "" after the last.
type page[T any] struct {
	rows []T
	next string
}

// each reads a listing to its end and calls f once for each row, whatever page
// repeats it. Nothing decides on a part of a list, so one that leads in circles,
// or whose later pages cannot be read, also because ctx ended, is
// [provider.ErrIncomplete]; what f has seen by then is void.
func each[T any](ctx context.Context, query url.Values, read func(context.Context, url.Values) (page[T], error), id func(T) string, f func(T) error) error {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", longestPage)
	been, known := map[string]bool{}, map[string]bool{}
	for {
		one, err := read(ctx, query)
		if err != nil {
			if len(been) > 0 && errors.Is(err, provider.ErrInDoubt) {
				err = fmt.Errorf("%w, after %d pages: %w", provider.ErrIncomplete, len(been), err)
			}
			return err
		}
		for _, row := range one.rows {
			if known[id(row)] {
				continue
			}
			known[id(row)] = true
			if err := f(row); err != nil {
				return err
			}
		}
		switch {
		case one.next == "":
			return nil
		case been[one.next]:
			return fmt.Errorf("%w: after %d pages it leads back to one", provider.ErrIncomplete, len(been))
		}
		been[one.next] = true
		query.Set("cursor", one.next)
	}
}

// all lists every row of a question; each must be about what was asked. After an
// error there is none: a part of the list is not the list.
func all[T any](ctx context.Context, query url.Values, read func(context.Context, url.Values) (page[T], error), id func(T) string, about func(T) bool) ([]T, error) {
	var rows []T
	err := each(ctx, query, read, id, func(row T) error {
		if !about(row) {
			return fmt.Errorf("%w: asked about %s, the provider lists %s", provider.ErrInDoubt, query.Encode(), id(row))
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
