package program

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"payonce/internal/lab/client"
)

// healthLimit is how long a program may take to say that it is ready.
const healthLimit = 2 * time.Second

// answers asks an address once; anything but 200 is an error. Its connection is
// closed: the next life of the program must not be asked over an old one.
func answers(ctx context.Context, target string) error {
	asking := client.New(target, "", client.Options{Timeout: healthLimit})
	defer asking.CloseIdle()
	answer, err := asking.Send(ctx, client.Request{Method: http.MethodGet})
	if err != nil {
		return fmt.Errorf("ask %s: %w", target, err)
	}
	if answer.Status != http.StatusOK {
		said := bytes.TrimSpace(answer.Body[:min(len(answer.Body), 300)]) // which check it waits for
		return fmt.Errorf("%s answers %d %s %s", target, answer.Status, http.StatusText(answer.Status), said)
	}
	return nil
}
