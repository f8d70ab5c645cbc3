// Package webhooktest judges receivers of webhooks, as their sender meets them:
// over HTTP.
//
//	webhooktest.Run(t, func(t *testing.T) webhooktest.Receiver { … })
package webhooktest

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once/webhook"
)

// Receiver is what is judged.
type Receiver struct {
	URL string
	// Secrets are believed, each of them.
	Secrets []string
	// Body makes a message that was never sent and has an effect.
	Body func() []byte
	// Effects counts what all messages started so far, Receipts what is written
	// down of them, Alerts what is open.
	Effects, Receipts, Alerts func() int
}

// Run judges the receiver that open makes; open is called once for each claim,
// for a world in which nothing has been received.
func Run(t *testing.T, open func(t *testing.T) Receiver) {
	t.Helper()
	for name, claim := range map[string]func(*sender){
		"a signed message: 200, one effect":                                once,
		"forged, altered, old, from the future: refused, nothing written":  refused,
		"replayed: 200, no second effect":                                  replayed,
		"twenty copies at once: one effect":                                twentyAtOnce,
		"each of the secrets that are valid while one is replaced":         rotated,
		"other bytes under a known id: 200, no effect, an alert is raised": altered,
		"65,537 bytes: 413, nothing written":                               tooLarge,
		"without its headers, or with two of one: 400, nothing written":    bare,
		"ten messages in any order, some again: ten effects":               outOfOrder,
		"several signatures: one that is right is enough":                  several,
		"the raw bytes are signed, not what they mean":                     rawBytes,
		"what cannot be read gets no receipt, so that it may come again":   unreadable,
		"four minutes off to either side is tolerated":                     tolerated,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim(&sender{Receiver: open(t), t: t})
		})
	}
}

// stranger is a secret that nobody believes.
const stranger = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBvZiAzMiBieXRlcw=="

type sender struct {
	Receiver
	t *testing.T
}

func (s *sender) sign(id string, at time.Time, body []byte, secrets ...string) http.Header {
	s.t.Helper()
	keys := make([][]byte, 0, len(secrets))
	for _, text := range secrets {
		key, err := webhook.DecodeSecret(text)
		require.NoError(s.t, err)
		keys = append(keys, key)
	}
	return webhook.Sign(keys, id, at, body)
}

// post returns the status, or 0 with the reason in the test's log.
func (s *sender) post(h http.Header, body []byte) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		s.t.Log(err)
		return 0
	}
	req.Header = h.Clone()
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Log(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func newID() string { return "msg_" + uuid.NewString() }

func (s *sender) wrote(effects, receipts, alerts int) {
	s.t.Helper()
	require.Equal(s.t, [3]int{effects, receipts, alerts}, [3]int{s.Effects(), s.Receipts(), s.Alerts()}, "effects, receipts, alerts")
}

func once(s *sender) {
	body := s.Body()
	require.Equal(s.t, 200, s.post(s.sign(newID(), time.Now(), body, s.Secrets[0]), body))
	s.wrote(1, 1, 0)
}

func refused(s *sender) {
	body, now := s.Body(), time.Now()
	require.Equal(s.t, 401, s.post(s.sign(newID(), now, body, stranger), body), "forged")
	require.Equal(s.t, 401, s.post(s.sign(newID(), now, body, s.Secrets[0]), append(body, ' ')), "altered")
	require.Equal(s.t, 400, s.post(s.sign(newID(), now.Add(-webhook.Tolerance-time.Minute), body, s.Secrets[0]), body), "old")
	require.Equal(s.t, 400, s.post(s.sign(newID(), now.Add(webhook.Tolerance+time.Minute), body, s.Secrets[0]), body), "from the future")
	require.Equal(s.t, 401, s.post(s.sign(newID(), now.Add(-time.Hour), body, stranger), body), "forged and old: the signature comes first")
	s.wrote(0, 0, 0)
}

func replayed(s *sender) {
	body, id := s.Body(), newID()
	h := s.sign(id, time.Now(), body, s.Secrets[0])
	require.Equal(s.t, 200, s.post(h, body))
	require.Equal(s.t, 200, s.post(h, body))
	again := s.sign(id, time.Now().Add(time.Second), body, s.Secrets[0])
	require.Equal(s.t, 200, s.post(again, body), "a sender signs each of its tries anew")
	s.wrote(1, 1, 0)
}

func twentyAtOnce(s *sender) {
	body := s.Body()
	h := s.sign(newID(), time.Now(), body, s.Secrets[0])
	got := make([]int, 20)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = s.post(h, body) })
	}
	wg.Wait()
	for _, status := range got {
		require.Equal(s.t, 200, status)
	}
	s.wrote(1, 1, 0)
}

func rotated(s *sender) {
	for _, secret := range s.Secrets {
		body := s.Body()
		require.Equal(s.t, 200, s.post(s.sign(newID(), time.Now(), body, secret), body))
	}
	require.Greater(s.t, len(s.Secrets), 1, "one secret cannot be replaced by another")
	s.wrote(len(s.Secrets), len(s.Secrets), 0)
}

func altered(s *sender) {
	body, id := s.Body(), newID()
	require.Equal(s.t, 200, s.post(s.sign(id, time.Now(), body, s.Secrets[0]), body))
	other := s.Body()
	require.Equal(s.t, 200, s.post(s.sign(id, time.Now(), other, s.Secrets[0]), other))
	s.wrote(1, 1, 1)
}

func tooLarge(s *sender) {
	body := bytes.Repeat([]byte(" "), webhook.MaxBody+1)
	require.Equal(s.t, 413, s.post(s.sign(newID(), time.Now(), body, s.Secrets[0]), body))
	s.wrote(0, 0, 0)
}

func bare(s *sender) {
	body := s.Body()
	require.Equal(s.t, 400, s.post(http.Header{}, body))
	h := s.sign(newID(), time.Now(), body, s.Secrets[0])
	h.Set(webhook.HeaderTimestamp, "+"+h.Get(webhook.HeaderTimestamp))
	require.Equal(s.t, 400, s.post(h, body))
	for _, name := range []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		good := s.sign(newID(), time.Now(), body, s.Secrets[0])
		without, twice := good.Clone(), good.Clone()
		without.Del(name)
		twice.Add(name, good.Get(name))
		require.Equal(s.t, 400, s.post(without, body), "without %s", name)
		require.Equal(s.t, 400, s.post(twice, body), "%s twice", name)
	}
	s.wrote(0, 0, 0)
}

func outOfOrder(s *sender) {
	ids, bodies := make([]string, 10), make([][]byte, 10)
	for i := range ids {
		ids[i], bodies[i] = newID(), s.Body()
	}
	for _, i := range []int{7, 3, 9, 1, 0, 2, 8, 4, 6, 5, 3, 7, 0} {
		require.Equal(s.t, 200, s.post(s.sign(ids[i], time.Now(), bodies[i], s.Secrets[0]), bodies[i]))
	}
	s.wrote(10, 10, 0)
}

func several(s *sender) {
	body := s.Body()
	h := s.sign(newID(), time.Now(), body, stranger, s.Secrets[0])
	h.Set(webhook.HeaderSignature, "v2,AAAA v1a,AAAA v1,%% "+h.Get(webhook.HeaderSignature)+" v1,AAAA")
	require.Equal(s.t, 200, s.post(h, body))
	s.wrote(1, 1, 0)
}

// rawBytes sends what a receiver that re-serialises would take for the same, and
// what it would not recognise.
func rawBytes(s *sender) {
	body := s.Body()
	padded := append([]byte(" \n\t"), append(body, '\n', ' ')...)
	require.Equal(s.t, 401, s.post(s.sign(newID(), time.Now(), body, s.Secrets[0]), padded), "more white space than was signed")
	s.wrote(0, 0, 0)
	require.Equal(s.t, 200, s.post(s.sign(newID(), time.Now(), padded, s.Secrets[0]), padded), "white space that was signed")
	s.wrote(1, 1, 0)
}

func unreadable(s *sender) {
	id, broken, body := newID(), []byte(`{"type":`), s.Body()
	require.Equal(s.t, 400, s.post(s.sign(id, time.Now(), broken, s.Secrets[0]), broken))
	require.Equal(s.t, 200, s.post(s.sign(id, time.Now(), body, s.Secrets[0]), body), "the id is free")
	s.wrote(1, 1, 0)
}

func tolerated(s *sender) {
	for _, off := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		body := s.Body()
		require.Equal(s.t, 200, s.post(s.sign(newID(), time.Now().Add(off), body, s.Secrets[0]), body), "%s", off)
	}
	s.wrote(2, 2, 0)
}
