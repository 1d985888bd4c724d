//go:build unix

package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func openBench(b *testing.B, d Durability) *Store {
	b.Helper()
	s, err := Open(context.Background(), Options{Path: filepath.Join(b.TempDir(), "broker.db"), Durability: d})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// traffic makes messages as the relay load of the broker does: 100 peers of one
// mesh, 512 bytes of ciphertext. Its ids are random, unless they are ordered:
// then they begin with the time, and the index of ids grows at its end only.
type traffic struct {
	seq     int64
	ordered bool
}

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
	first := id
	if t.ordered {
		first = uint64(t.seq)
	}
	return &store.Message{
		Seq:            now.UnixMicro(),
		ID:             fmt.Sprintf("%016x%016x", first, id),
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

// batch has n messages with their audit entries; the deliveries of the batch
// before are settled.
func (t *traffic) batch(b *store.Batch, n int) {
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

func BenchmarkCommit(b *testing.B) {
	for _, ids := range []string{"random", "ordered"} {
		for _, d := range []Durability{Power, Process} {
			for _, n := range []int{1, 20, 200} {
				b.Run(fmt.Sprintf("ids=%s/%s/messages=%d", ids, d, n), func(b *testing.B) {
					benchCommit(b, d, n, &traffic{ordered: ids == "ordered"}, (*traffic).batch)
				})
			}
		}
	}
}

func BenchmarkCommitAudit(b *testing.B) {
	benchCommit(b, Power, 200, new(traffic), func(t *traffic, batch *store.Batch, n int) {
		batch.Reset()
		for range n {
			t.audit(batch, t.message())
		}
	})
}

// BenchmarkCommitSent has messages without a row whose senders gave an id.
func BenchmarkCommitSent(b *testing.B) {
	benchCommit(b, Power, 200, new(traffic), func(t *traffic, batch *store.Batch, n int) {
		batch.Reset()
		for range n {
			m := t.message()
			m.ClientMessageID, m.Fingerprint = m.ID, strings.Repeat("f", 64)
			t.audit(batch, m)
			batch.Sent = append(batch.Sent, m)
		}
	})
}

// benchCommit measures Commit alone, wall and processor time.
func benchCommit(b *testing.B, d Durability, n int, t *traffic, fill func(*traffic, *store.Batch, int)) {
	b.Helper()
	s := openBench(b, d)
	var (
		batch store.Batch
		wall  time.Duration
		cpu   time.Duration
	)
	b.ReportAllocs()
	for b.Loop() {
		fill(t, &batch, n)
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
	s := openBench(b, Process)
	var (
		t     traffic
		batch store.Batch
	)
	for range 1000 {
		for range 100 {
			t.deliver(&batch, t.message())
		}
		if err := s.Commit(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
		batch.Reset()
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

// BenchmarkRelease releases 256 of many deliveries that are due at once, and asks
// when the next one is.
func BenchmarkRelease(b *testing.B) {
	const size, more = 256, 100_000
	s := openBench(b, Process)
	var (
		t     traffic
		batch store.Batch
		due   = time.UnixMilli(1_790_000_100_000)
	)
	hold := func(n int) {
		batch.Reset()
		for range n {
			m := t.message()
			m.NotBefore = due
			t.deliver(&batch, m)
		}
		batch.Held, batch.Deliveries = batch.Deliveries, batch.Held
		if err := s.Commit(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	for range more / 1000 {
		hold(1000)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		hold(size)
		b.StartTimer()
		if list, err := s.Release(b.Context(), due, size); err != nil || len(list) != size {
			b.Fatal(len(list), err)
		}
		if next, err := s.NextRelease(b.Context()); err != nil || !next.Equal(due) {
			b.Fatal(next, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/message")
}

// BenchmarkOpen opens and closes a store that exists.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "broker.db")
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(b.Context(), Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
