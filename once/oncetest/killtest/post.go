package killtest

import (
	"context"
	"errors"
	"net/http"
)

// Post is [Subject.Act] for a program that is asked by POST to a path with the id behind it,
// and with the id as its Idempotency-Key. A route of another form is an Act of your own.
// An answer below 300 is one; each request has a connection of its own, so that none is
// repeated by the client itself.
func Post(path string) func(ctx context.Context, life Life, at Services, id string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context, life Life, _ Services, id string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+life.Address+path+id, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Idempotency-Key", id)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil || response.StatusCode >= http.StatusMultipleChoices {
			return errors.Join(err, errors.New(response.Status))
		}
		return nil
	}
}
