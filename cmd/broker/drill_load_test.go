package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

const (
	trafficWindow = 8 // messages that a sender has under way
	trafficFan    = 3 // recipients of each sender
)

// traffic is peers of which each numbers its messages to some others, several
// under way at a time.
type traffic struct {
	t       *testing.T
	pace    time.Duration // between two messages of a sender
	peers   []*dial.Peer
	stop    context.CancelFunc
	senders sync.WaitGroup

	mu      sync.Mutex
	acks    map[string]string // ids by text
	refused []string
	arrived map[string]string   // ids by text
	last    map[trafficPair]int // number that arrived last
	wrong   []string
	lastAck time.Time
	gap     time.Duration // longest time in which nothing was acknowledged
}

// trafficPair is a sender and a recipient.
type trafficPair struct{ from, to int }

// newTraffic connects every member of a mesh.
func newTraffic(t *testing.T, url string, mesh *admin.NewMesh, pace time.Duration) *traffic {
	t.Helper()
	l := &traffic{
		t: t, pace: pace, acks: map[string]string{}, arrived: map[string]string{}, last: map[trafficPair]int{}}
	for i := range mesh.Members {
		l.peers = append(l.peers, dialMember(t, url, mesh, i, dial.Options{
			ConfirmPushes: true, OnPush: func(_ *dial.Peer, push *wire.Push) { l.takePush(i, push) },
		}))
	}
	return l
}

// dialMember connects a member of a mesh until the test ends.
func dialMember(t *testing.T, url string, mesh *admin.NewMesh, i int, o dial.Options) *dial.Peer {
	t.Helper()
	m := mesh.Members[i]
	key, err := identity.ParseSecret(m.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := dial.Dial(ctx, url, dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: key, DisplayName: m.DisplayName}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Abort()
		<-p.Done()
	})
	return p
}

// start lets everybody send until finish. It may be called again after that.
func (l *traffic) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.t.Cleanup(func() {
		cancel()
		for _, p := range l.peers {
			p.Abort() // for acks that never come
		}
		l.senders.Wait()
	})
	l.lastAck = time.Now()
	for i := range l.peers {
		l.senders.Go(func() { l.send(ctx, i) })
	}
}

// send returns when everything that was sent has been answered.
func (l *traffic) send(ctx context.Context, from int) {
	window := make(chan struct{}, trafficWindow)
	for n := 0; ctx.Err() == nil; n++ {
		pair := trafficPair{from, (from + 1 + n%trafficFan) % len(l.peers)}
		number := n/trafficFan + 1
		window <- struct{}{}
		text := fmt.Sprintf("%d %d %d", pair.from, pair.to, number)
		err := l.peers[from].SendAsync(l.peers[pair.to].Key().String(), sdk.PriorityNow, "", text, dial.SendOptions{},
			func(a wire.Ack, err error) {
				l.takeAck(text, a, err)
				<-window
			})
		if err != nil {
			l.fault("peer %d cannot send: %v", from, err)
			return
		}
		select {
		case <-time.After(l.pace):
		case <-ctx.Done():
		}
	}
	for range trafficWindow {
		window <- struct{}{}
	}
}

func (l *traffic) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (l *traffic) takeAck(text string, a wire.Ack, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || !a.Queued {
		l.refused = append(l.refused, fmt.Sprintf("%s: %+v, %v", text, a, err))
		return
	}
	now := time.Now()
	l.gap, l.lastAck = max(l.gap, now.Sub(l.lastAck)), now
	l.acks[text] = a.MessageID
}

// takePush wants each message once, those of one sender in their order.
func (l *traffic) takePush(to int, push *wire.Push) {
	if push.Event != "" {
		return
	}
	var pair trafficPair
	var number int
	text := push.Ciphertext
	if _, err := fmt.Sscan(text, &pair.from, &pair.to, &number); err != nil || pair.to != to {
		l.fault("peer %d got %q, %v", to, text, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, twice := l.arrived[text]; twice {
		l.wrong = append(l.wrong, fmt.Sprintf("%q arrived as %s and as %s", text, id, push.MessageID))
	}
	if number <= l.last[pair] {
		l.wrong = append(l.wrong, fmt.Sprintf("%q came behind number %d", text, l.last[pair]))
	}
	l.arrived[text], l.last[pair] = push.MessageID, number
}

// moves waits until n more messages were acknowledged.
func (l *traffic) moves(n int) {
	l.t.Helper()
	was := l.count()
	eventually(l.t, fmt.Sprint(n, " more acks"), func() bool { return l.count() >= was+n })
}

func (l *traffic) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

// finish ends the sending, until the next start, and wants everything to be
// right: whatever was sent was acknowledged, and has arrived once, on connections
// that never ended. It returns how many messages there were, and forgets them.
func (l *traffic) finish() (total int) {
	l.t.Helper()
	l.stop()
	l.senders.Wait()
	eventually(l.t, "every acknowledged message arrives", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.arrived) >= len(l.acks)
	})
	for i, p := range l.peers {
		select {
		case <-p.Done():
			l.t.Errorf("the connection of peer %d was closed: %v", i, p.Err())
		default:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused)+len(l.wrong) > 0 || len(l.acks) == 0 {
		l.t.Errorf("%d acknowledged, %d refused, %d wrong:\n%s", len(l.acks), len(l.refused), len(l.wrong),
			strings.Join(append(l.refused[:min(5, len(l.refused))], l.wrong[:min(5, len(l.wrong))]...), "\n"))
	}
	for text, id := range l.acks {
		if l.arrived[text] != id {
			l.t.Errorf("%q was acknowledged as %s and arrived as %q", text, id, l.arrived[text])
		}
	}
	total = len(l.acks)
	l.acks, l.arrived, l.last = map[string]string{}, map[string]string{}, map[trafficPair]int{}
	return total
}
