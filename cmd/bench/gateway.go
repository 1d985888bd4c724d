package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
)

// gateway measures programs that post messages over HTTP with an API key, so many at
// a time, to peers that are connected.
func gateway(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.fleet(t.Count)
	if err != nil {
		return nil, err
	}
	secret, err := t.apiKey(ctx, f.peers[0].id)
	if err != nil {
		return nil, err
	}
	for _, p := range f.peers {
		p.ledger = newLedger(t.Window)
	}
	if err := f.join(ctx, t.Count); err != nil {
		return nil, err
	}
	posting, stop := context.WithCancel(ctx)
	var posters sync.WaitGroup
	for n := range t.Window {
		p := newPoster(f, n, secret)
		posters.Go(func() { p.run(posting) })
	}
	r, err := f.during(ctx, t.Seconds)
	stop()
	posters.Wait()
	if err == nil {
		err = f.drain(ctx)
	}
	return f.finish([]*result{r}, err)
}

// apiKey makes a key of a member that may send.
func (t *task) apiKey(ctx context.Context, id dial.Identity) (string, error) {
	p, err := dial.Dial(ctx, t.URLs[0], id, dial.Options{})
	if err != nil {
		return "", err
	}
	defer p.Close() //nolint:errcheck // its answer is there
	answer, err := p.Request(ctx, map[string]any{"type": "apikey_create", "label": "bench", "capabilities": []string{"send"}})
	if err != nil {
		return "", err
	}
	var made wire.APIKeyCreated
	if err := json.Unmarshal(answer, &made); err != nil || made.Secret == "" {
		return "", fmt.Errorf("the server answered %.200s", answer)
	}
	return made.Secret, nil
}

// poster is a program that posts one message after the other, on a connection of its
// own. It is for one goroutine.
type poster struct {
	fleet  *fleet
	n      int
	client http.Client
	url    string
	secret string
	dice   uint64
	sent   []uint32 // messages so far, by recipient
	body   []byte
}

func newPoster(f *fleet, n int, secret string) *poster {
	return &poster{
		fleet: f, n: n, client: http.Client{Transport: new(http.Transport)}, url: "http://" + f.addr(n) + "/v1/messages", secret: secret,
		dice: uint64(n)*0x9e3779b97f4a7c15 + 1, sent: make([]uint32, len(f.peers)), body: make([]byte, f.bodies.size),
	}
}

// run posts until ctx ends. A message that was begun is posted to its end.
func (p *poster) run(ctx context.Context) {
	defer p.client.CloseIdleConnections()
	for ctx.Err() == nil {
		if err := p.post(context.WithoutCancel(ctx)); err != nil {
			select {
			case p.fleet.broken <- fmt.Errorf("poster %d: %w", p.n, err):
			default:
			}
			return
		}
		time.Sleep(roundTrip)
	}
}

func (p *poster) post(ctx context.Context) error {
	f, to := p.fleet, int(random(&p.dice)%uint64(len(p.fleet.peers)))
	f.bodies.put(p.body, stamp{uint32(p.n), p.sent[to], f.now()})
	text := fmt.Appendf(nil, `{"target":%q,"ciphertext":%q}`, f.peers[to].key, p.body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.secret)
	req.Header.Set("Content-Type", "application/json")
	p.sent[to]++
	f.sent.Add(1)
	answer, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		f.refused(said)
		return nil
	}
	f.accepted.Add(1)
	return nil
}
