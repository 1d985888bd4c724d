package sqlite

import (
	"fmt"
	"github.com/claudemesh/broker/core/store"
	"math/rand/v2"
	"testing"
)

func BenchmarkSent(b *testing.B) {
	benchCommit(b, Process, 200, func(t *traffic, batch *store.Batch, n int) {
		batch.Reset()
		for range n {
			m := t.message()
			m.ClientMessageID = fmt.Sprintf("%016x-%016x", rand.Uint64(), rand.Uint64())
			m.Fingerprint = fmt.Sprintf("%064x", m.Seq)
			batch.Sent = append(batch.Sent, m)
		}
	})
}
