package webhookaudit

import (
	"crypto/hmac"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

const (
	secretEnv = "WEBHOOK_AUDIT_TEST_SECRET"
	secret    = "a secret that only the tests know"
	patience  = 20 * time.Second
)

// receiver is an endpoint over TLS that checks every post.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	ca     string // file

	mu      sync.Mutex
	answers []int // of the next posts; then 204
	always  int   // when set, of every post
	posts   int
	seen    map[string]bool // ids
	repeats int
	events  []Event // of batches seen for the first time, in order
	lost    uint64
	changed chan struct{}
}

// received is the body of a post.
type received struct {
	ID      string  `json:"id"`
	Version int     `json:"version"`
	Lost    uint64  `json:"lost"`
	Events  []Event `json:"events"`
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{t: t, seen: make(map[string]bool), changed: make(chan struct{}, 1)}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	r.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(r.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(secretEnv, secret)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	defer func() {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the caller is gone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	var got received
	if err := json.Unmarshal(body, &got); err != nil {
		r.t.Errorf("the body is no JSON: %v", err)
	}
	r.check(req, body, got)
	status := http.StatusNoContent
	switch {
	case r.always != 0:
		status = r.always
	case len(r.answers) > 0:
		status, r.answers = r.answers[0], r.answers[1:]
	}
	if status < 300 && r.seen[got.ID] {
		r.repeats++
	}
	if status < 300 && !r.seen[got.ID] {
		r.seen[got.ID] = true
		r.events = append(r.events, got.Events...)
		r.lost += got.Lost
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "answer %d", status)
}

// check holds a post to what the README promises.
func (r *receiver) check(req *http.Request, body []byte, got received) {
	at := req.Header.Get("Webhook-Timestamp")
	want := sign([]byte(secret), got.ID, at, body)
	if !hmac.Equal([]byte(want), []byte(req.Header.Get("Webhook-Signature"))) {
		r.t.Errorf("the signature is %q, want %q", req.Header.Get("Webhook-Signature"), want)
	}
	if req.Header.Get("Webhook-Id") != got.ID || req.Header.Get("Idempotency-Key") != got.ID || got.ID == "" {
		r.t.Errorf("the id of the headers is not that of the body, %q", got.ID)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age < -time.Minute || age > time.Minute {
		r.t.Errorf("the timestamp is %q", at)
	}
	if got.Version != 1 {
		r.t.Errorf("the version is %d", got.Version)
	}
}

func (r *receiver) answer(always int, next ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.always, r.answers = always, next
}

// until waits until a condition of the receiver holds.
func (r *receiver) until(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		ok := holds()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.changed:
		case <-deadline.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("waited in vain for %s: %d posts, %d events", what, r.posts, len(r.events))
		}
	}
}

func (r *receiver) untilEvents(n int) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d events", n), func() bool { return len(r.events) >= n })
}

// wantInOrder wants the events from one number to another, each once.
func (r *receiver) wantInOrder(from, to int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != to-from {
		r.t.Errorf("got %d events, want %d", len(r.events), to-from)
	}
	for i, e := range r.events {
		if want := messageID(from + i); e.MessageID != want {
			r.t.Fatalf("event %d is %s, want %s", i, e.MessageID, want)
		}
	}
}

func (r *receiver) options(change func(*Options)) Options {
	o := Default()
	o.URL, o.SecretEnv, o.CAFile = r.server.URL+"/hook", secretEnv, r.ca
	o.MaxEvents, o.MaxWait = 10, plugin.Duration(10*time.Millisecond)
	o.RetryMax, o.SpillSync = plugin.Duration(10*time.Millisecond), false
	if change != nil {
		change(&o)
	}
	return o
}

// start starts an observer and stops it at the end of the test.
func start(t testing.TB, o Options) *Observer {
	t.Helper()
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, w) })
	return w
}

func stop(t testing.TB, w *Observer) {
	t.Helper()
	ctx, cancel := contextFor(patience)
	defer cancel()
	if err := w.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func messageID(n int) string { return fmt.Sprintf("m%06d", n) }

// tell gives the observer events with numbers.
func tell(w *Observer, from, to int) {
	for n := from; n < to; n++ {
		env := &sdk.Envelope{Kind: sdk.KindSend, MessageID: messageID(n), Arrived: time.Now()}
		w.Done(env, sdk.Outcome{Decision: sdk.Decision{Verdict: sdk.Answer}})
	}
}
