package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"payonce/api"
	"payonce/internal/lab/stage"
	"payonce/internal/platform/patterns"
	"payonce/internal/shop/event"
	"payonce/once/message"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// asyncapi is what these tests read of api/asyncapi.yaml.
type asyncapi struct {
	Channels map[string]struct {
		Address  string
		Messages map[string]any
		Bindings map[string]any
	}
	Components struct {
		ChannelBindings map[string]map[string]any `yaml:"channelBindings"`
		Messages        map[string]struct {
			Payload map[string]string
		}
		Schemas map[string]any
	}
}

func described(t *testing.T) (doc asyncapi, schemas openapi3.Schemas) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal(api.AsyncAPI, &doc))
	// The schemas use what JSON Schema and OpenAPI share, so the validator of
	// the one reads the other.
	wrapped, err := yaml.Marshal(map[string]any{
		"openapi": "3.0.3", "info": map[string]string{"title": "events", "version": "1"}, "paths": map[string]any{},
		"components": map[string]any{"schemas": doc.Components.Schemas},
	})
	require.NoError(t, err)
	loaded, err := openapi3.NewLoader().LoadFromData(wrapped)
	require.NoError(t, err)
	return doc, loaded.Components.Schemas
}

func TestTheDescribedQueuesAreTheDeclaredOnes(t *testing.T) {
	t.Parallel()
	doc, _ := described(t)
	queues := map[string]map[string]any{}
	for _, q := range event.Topology(retry.Production).Queues {
		queues[q.Name] = q.Args
	}
	all := slices.Sorted(maps.Keys(doc.Channels["events"].Messages))
	require.Equal(t, patterns.Relays.Exchange, doc.Channels["events"].Address)
	require.Equal(t, all, slices.Sorted(maps.Keys(doc.Components.Messages)))
	bound := map[string]bool{}
	for _, c := range event.Consumers {
		channel, known := doc.Channels[c.Name]
		require.True(t, known, "the queue %s is not described", c.Name)
		require.Equal(t, slices.Sorted(slices.Values(c.Types)), slices.Sorted(maps.Keys(channel.Messages)), c.Name)
		for _, kind := range c.Types {
			bound[kind] = true
		}
		bindings := channel.Bindings
		if ref, is := bindings["$ref"].(string); is {
			bindings = doc.Components.ChannelBindings[strings.TrimPrefix(ref, "#/components/channelBindings/")]
		}
		declared := maps.Clone(queues[c.Name])
		delete(declared, "x-dead-letter-routing-key") // the queue's own name, said in words
		want, err := json.Marshal(declared)
		require.NoError(t, err)
		got, err := json.Marshal(bindings["x-arguments"])
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got), c.Name)
	}
	require.Equal(t, all, slices.Sorted(maps.Keys(bound)), "every event has a queue, every queue's event is described")
	require.Len(t, doc.Channels, len(event.Consumers)+1)
}

func TestPublishedMessagesFitTheirDescription(t *testing.T) {
	t.Parallel()
	doc, schemas := described(t)
	house := stage.Start(t, stage.Options{Without: []string{"relay"}})
	types := slices.Collect(maps.Keys(doc.Components.Messages))
	eye := rabbit.Topology{Queues: []rabbit.Queue{rabbit.WorkQueue("eye", patterns.Names.Dead)}}
	for _, kind := range types {
		eye.Bindings = append(eye.Bindings, rabbit.Binding{Queue: "eye", Exchange: patterns.Relays.Exchange, Key: kind})
	}
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{house.AMQPURL}, Topology: event.Topology(retry.Demo).With(eye)})
	require.NoError(t, err)
	defer conn.Close()
	ctx, stop := context.WithCancel(t.Context())
	var (
		mu   sync.Mutex
		seen = map[string]message.Message{}
	)
	done := make(chan error, 1)
	go func() {
		done <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: "eye", Prefetch: 10, BatchMax: 10}, func(_ context.Context, batch []rabbit.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range batch {
				seen[d.Type] = d.Message
			}
			_ = rabbit.Ack(batch...)
		})
	}()
	require.NoError(t, conn.Ready(t.Context()))
	b := house.Buyer()
	halves := b.Order()
	b.MustCapture(halves, "H", "tok_ok")
	first, rest := b.MustRefund(halves, "half", halves.AmountMinor/2), b.MustRefund(halves, "rest", 0)
	house.Relay.Start()
	b.Ends(first)
	b.Ends(rest)
	c := b.Order()
	b.MustCapture(c, "K1", "tok_declined")
	b.MustCapture(c, "K2", "tok_ok")
	b.Ends(b.MustRefund(c, "whole", 0))
	b.Ends(b.MustRefund(b.Bought("tok_refund_declined"), "refused", 0))
	used := b.Bought("tok_ok")
	ticket := b.Get("/v1/orders/" + used.OrderID).Field("tickets").([]any)[0].(map[string]any)["id"].(string)
	_, err = b.Do(t.Context(), http.MethodPost, "/v1/tickets/"+ticket+"/check-in", "", nil)
	require.NoError(t, err)
	b.Ends(b.MustRefund(used, "used", 0))
	house.RefundByHand(b.Bought("tok_ok"))
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, kind := range types {
			if _, is := seen[kind]; !is && !refusals[kind] {
				return false
			}
		}
		return true
	}, settle, tick)
	stop()
	require.NoError(t, <-done)

	for kind, m := range seen {
		payload := schemas[strings.TrimPrefix(doc.Components.Messages[kind].Payload["$ref"], "#/components/schemas/")].Value
		require.NoError(t, payload.VisitJSON(decoded(t, m.Body)), "%s: %s", kind, m.Body)
		headers, err := json.Marshal(m.Headers)
		require.NoError(t, err)
		require.NoError(t, schemas["Envelope"].Value.VisitJSON(decoded(t, headers)), "%s: %s", kind, headers)
		for _, required := range payload.Required {
			broken := decoded(t, m.Body).(map[string]any)
			delete(broken, required)
			require.Error(t, payload.VisitJSON(broken), "%s without %s", kind, required)
		}
	}
}

// refusals are replies that only a broken shop sends: their participants have no
// reason to say no to a saga that is in order. They share the other replies'
// schema.
var refusals = map[string]bool{
	event.CommandHoldRefund + ".failed": true, event.CommandReleaseRefund + ".failed": true,
	event.CommandReinstateTickets + ".failed": true, event.CommandSettleRefund + ".failed": true,
}

func decoded(t *testing.T, raw []byte) (value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, &value))
	return value
}
