package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// collect notes the ids of the messages that came and were not taken yet, and
// confirms them if asked to.
func (s *socket) collect(into map[string]bool, confirm bool) {
	s.mu.Lock()
	frames := s.frames
	s.frames = nil
	s.mu.Unlock()
	for _, frame := range frames {
		var push struct{ Type, MessageID string }
		if err := json.Unmarshal(frame, &push); err != nil || push.Type != "push" || isEvent(frame) {
			continue
		}
		into[push.MessageID] = true
		if confirm {
			s.write(`{"type":"client_ack","brokerMessageId":"` + push.MessageID + `"}`)
		}
	}
}

func TestSlowPeerIsClosedAndLosesNothing(t *testing.T) {
	for _, kind := range []struct {
		name string
		acks bool // confirms by client_ack, and not by pongs
	}{{"that confirms by pongs", false}, {"that confirms by client_ack", true}} {
		t.Run("it closes a peer "+kind.name, func(t *testing.T) {
			r := newRig(t, func(c *config.Config) { c.Limits.OutboxBytes = 512 << 10 })
			ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
			id := session(r.member("bo", store.RoleMember))
			hello := func() frame {
				if kind.acks {
					return r.vouched(id, time.Now())
				}
				return r.hello(id, time.Now())
			}
			bo := r.greet(hello(), socketOptions{smallInbox: 256 << 10})
			bo.stall()
			body := strings.Repeat("A", 48<<10)
			acked := map[string]bool{}
			for n := 0; r.app.SlowPeers() == 0; n++ {
				if n > 1000 {
					t.Fatal("1000 messages went to a peer that reads nothing")
				}
				ack := r.send(ada, id.RoutingKey().String(), sdk.PriorityNext, body)
				if !ack.Queued {
					t.Fatalf("send: %+v", ack)
				}
				acked[ack.MessageID] = true
			}
			bo.flow()
			eventually(t, "the slow connection to end", func() bool {
				select {
				case <-bo.done:
					return true
				default:
					return false
				}
			})
			if code, reason := bo.end(); code != 4008 || reason != "slow" {
				t.Errorf("closed: got %d %q, want 4008 slow", code, reason)
			}
			got := map[string]bool{}
			bo.collect(got, kind.acks)
			// One more, while it is away.
			last := r.send(ada, id.RoutingKey().String(), sdk.PriorityNext, "the last")
			acked[last.MessageID] = true
			again := r.comeBack(hello)
			t.Cleanup(func() { t.Logf("%d messages of %d came", len(got), len(acked)) })
			eventually(t, "all messages", func() bool {
				select {
				case <-again.done: // closed as slow once more
					again.collect(got, kind.acks)
					again = r.comeBack(hello)
				default:
					again.collect(got, kind.acks)
				}
				return len(got) >= len(acked)
			})
			for id := range acked {
				if !got[id] {
					t.Errorf("%s was acknowledged and did not arrive", id)
				}
			}
			ada.Abort()
		})
	}
}

// comeBack opens a socket and says hello.
func (r *rig) comeBack(hello func() frame) *socket {
	r.t.Helper()
	s := open(r.t, r.url, socketOptions{})
	s.write(hello().String())
	return s
}

// More waits for a peer than its outbox holds: it is given no more at a time
// than it takes, and not closed as slow for what the broker has in store.
func TestBacklogLargerThanTheOutboxArrives(t *testing.T) {
	for _, acks := range []bool{false, true} {
		t.Run(fmt.Sprint("it arrives whole, with client_ack: ", acks), func(t *testing.T) {
			r := newRig(t, func(c *config.Config) { c.Limits.OutboxBytes = 256 << 10 })
			ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
			id := session(r.member("bo", store.RoleMember))
			options := dial.Options{PlainHello: !acks, ConfirmPushes: acks}
			r.dial(id, options).Abort()
			r.wantOnline(1)
			const messages = 60
			body := strings.Repeat("A", 32<<10)
			for range messages {
				if ack := r.send(ada, id.RoutingKey().String(), sdk.PriorityNext, body); !ack.Queued {
					t.Fatalf("send: %+v", ack)
				}
			}
			bo := r.dial(id, options)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for n := range messages {
				if _, err := bo.RecvMessage(ctx); err != nil {
					t.Fatalf("after %d of %d messages: %v", n, messages, err)
				}
			}
		})
	}
}

// A connection whose answers wait for the disk is read no further than its
// window; others are served meanwhile, and every answer comes, in order.
func TestFullWindowHoldsUpOneConnection(t *testing.T) {
	const window, sends = 4, 12
	var commits gate
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) { c.Limits.Window = window },
		func(o *app.Options) { o.Store = &hooked{Store: o.Store, CommitFn: commits.pass} })
	t.Cleanup(commits.open) // before the broker stops
	r.newMesh()
	ada := r.greet(r.vouched(session(r.member("ada", store.RoleMember)), time.Now()), socketOptions{})
	other := r.greet(r.vouched(session(r.member("bo", store.RoleMember)), time.Now()), socketOptions{})
	if err := r.app.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	commits.close()
	before := r.app.FramesRead()
	for n := range sends {
		ada.write(fmt.Sprintf(`{"type":"send","id":%d,"targetSpec":%q,"priority":"now","nonce":"","ciphertext":""}`, n, r.away()))
	}
	ada.write(`{"type":"mesh_info","_reqId":"behind"}`)
	// One is on its way to disk, and one is worked on when the window is full.
	eventually(t, "the window to be full", func() bool { return r.app.FramesRead() >= before+window+1 && commits.held() > 0 })
	for range 50 {
		other.settle()
	}
	if read := r.app.FramesRead() - before - 50; read > window+2 {
		t.Errorf("%d frames were read, want no more than the window of %d allows", read, window)
	}
	commits.open()
	for n := range sends {
		if want := fmt.Sprintf(`{"type":"ack","id":%d,`, n); !strings.HasPrefix(ada.next(false), want) {
			t.Errorf("answer %d is another's", n)
		}
	}
	if frame := ada.next(false); !strings.Contains(frame, `"behind"`) {
		t.Errorf("the answer behind the acks: got %s", frame)
	}
}

// away returns the key of a member that is not here.
func (r *rig) away() string {
	id := r.member("away", store.RoleMember)
	return id.RoutingKey().String()
}

// An ack says that the message is on disk: while the disk does not answer, there
// is none, and nobody else has to wait.
func TestAckWaitsForTheDisk(t *testing.T) {
	var commits gate
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) {
		o.Store = &hooked{Store: o.Store, CommitFn: commits.pass}
	})
	t.Cleanup(commits.open)
	r.newMesh()
	target := r.away()
	ada := r.greet(r.vouched(session(r.member("ada", store.RoleMember)), time.Now()), socketOptions{})
	bo := r.greet(r.vouched(session(r.member("bo", store.RoleMember)), time.Now()), socketOptions{})
	if err := r.app.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	commits.close()
	ada.write(`{"type":"send","id":"x","targetSpec":"` + target + `","priority":"now","nonce":"","ciphertext":""}`)
	eventually(t, "the message to be on its way to disk", func() bool { return commits.held() > 0 })
	bo.settle()
	for frame, ok := ada.take(0); ok; frame, ok = ada.take(0) {
		if !isEvent(frame) {
			t.Errorf("got %s before the message was on disk", frame)
		}
	}
	commits.open()
	ada.wantFrame("ack")
}
