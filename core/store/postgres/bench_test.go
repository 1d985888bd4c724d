//go:build unix

package postgres

import (
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/sdk"
)

// traffic makes messages as the relay load of the broker does: 100 peers of one
// mesh, 512 bytes of ciphertext.
type traffic struct{ seq int64 }

const benchMesh = "MeshMeshMeshMeshMeshMeshMeshMesh"

func peer(n int64) (k sdk.Key) {
	for i := 0; i < len(k); i += 8 {
		binary.BigEndian.PutUint64(k[i:], uint64(n+1)*0x9e3779b97f4a7c15)
	}
	return k
}

func (t *traffic) message() *store.Message {
	t.seq++
	now := time.UnixMicro(1_790_000_000_000_000 + t.seq)
	id := uint64(t.seq) * 0x9e3779b97f4a7c15
	return &store.Message{
		Seq:            now.UnixMicro(),
		ID:             fmt.Sprintf("%016x%016x", id, id),
		MeshID:         benchMesh,
		SenderMemberID: fmt.Sprintf("%032d", t.seq%100),
		SenderMember:   peer(t.seq % 100),
		SenderSession:  peer(t.seq%100 + 1000),
		SenderName:     "peer",
		TargetSpec:     peer((t.seq + 1) % 100).String(),
		Priority:       sdk.PriorityNext,
		Nonce:          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		Ciphertext:     strings.Repeat("c", 512),
		CreatedAt:      now,
		ExpiresAt:      now.Add(7 * 24 * time.Hour),
	}
}

func (t *traffic) deliver(b *store.Batch, m *store.Message) {
	b.Messages = append(b.Messages, m)
	b.Deliveries = append(b.Deliveries, store.Delivery{
		Seq: m.Seq, Recipient: peer((t.seq + 1) % 100), MemberID: fmt.Sprintf("%032d", (t.seq+1)%100)})
}

func (t *traffic) audit(b *store.Batch, m *store.Message) {
	b.Audit = append(b.Audit, &audit.Entry{
		MeshID: m.MeshID, EventType: "message_sent", ActorMemberID: m.SenderMemberID, ActorName: m.SenderName,
		Payload:   []byte(`{"priority":"next","targetSpec":"` + m.TargetSpec + `"}`),
		CreatedAt: m.CreatedAt,
	})
}

// audited has the audit entries of n messages that were confirmed before they
// needed a row.
func (t *traffic) audited(b *store.Batch, n int) {
	b.Reset()
	for range n {
		t.audit(b, t.message())
	}
}

// queued has n messages with their audit entries; the deliveries of the batch
// before are settled.
func (t *traffic) queued(b *store.Batch, n int) {
	settled := b.Settled[:0]
	for _, d := range b.Deliveries {
		settled = append(settled, store.Settlement{Seq: d.Seq, Recipient: d.Recipient, At: time.UnixMicro(d.Seq)})
	}
	b.Reset()
	b.Settled = settled
	for range n {
		m := t.message()
		t.deliver(b, m)
		t.audit(b, m)
	}
}

// remembered is queued with a client's id for each message.
func (t *traffic) remembered(b *store.Batch, n int) {
	t.queued(b, n)
	for _, m := range b.Messages {
		m.ClientMessageID, m.Fingerprint = m.ID, strings.Repeat("f", 64)
		b.Sent = append(b.Sent, m)
	}
}

// BenchmarkCommit measures Commit alone, on a server that keeps its promises:
// wall time, and the processor time of this process without the server's.
func BenchmarkCommit(b *testing.B) {
	cluster := pgtest.NewCluster(b)
	for _, kind := range []struct {
		name string
		fill func(*traffic, *store.Batch, int)
	}{
		{"audit", (*traffic).audited}, {"queued", (*traffic).queued}, {"remembered", (*traffic).remembered},
	} {
		for _, d := range []Durability{Power, Process} {
			for _, n := range []int{1, 16, 256} {
				b.Run(fmt.Sprintf("%s/%s/messages=%d", kind.name, d, n), func(b *testing.B) {
					benchCommit(b, Options{URL: cluster.URL(), Durability: d}, n, kind.fill)
				})
			}
		}
	}
}

func benchCommit(b *testing.B, o Options, n int, fill func(*traffic, *store.Batch, int)) {
	b.Helper()
	s := fresh(b, o)
	var (
		t     traffic
		batch store.Batch
		wall  time.Duration
		cpu   time.Duration
	)
	b.ReportAllocs()
	for b.Loop() {
		fill(&t, &batch, n)
		start, used := time.Now(), cpuTime()
		if err := s.Commit(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime() - used
		wall += time.Since(start)
	}
	messages := float64(b.N * n)
	b.ReportMetric(float64(wall.Microseconds())/messages, "µs/message")
	b.ReportMetric(float64(cpu.Microseconds())/messages, "cpu-µs/message")
}

func BenchmarkPending(b *testing.B) {
	s := fresh(b, Options{Durability: Process})
	var (
		t     traffic
		batch store.Batch
	)
	for range 1000 {
		batch.Reset()
		for range 100 {
			t.deliver(&batch, t.message())
		}
		if err := s.Commit(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		list, err := s.Pending(b.Context(), store.Drain{
			Mesh: benchMesh, Keys: []sdk.Key{peer(5), peer(1005)}, Max: sdk.PriorityLow,
			Now: time.UnixMicro(1_790_000_000_000_000), Limit: 128,
		})
		if err != nil || len(list) != 128 {
			b.Fatal(len(list), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*128), "µs/message")
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
