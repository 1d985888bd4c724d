package console

import (
	"hash/maphash"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/refusals"
)

// BenchmarkSecond is what a second costs with one watcher, besides what the
// source does: a thousand meshes, a thousand peers, rates that all move
// and refusals that come.
//
// The console may take 2 % of a core, so one turn may take 20 ms.
func BenchmarkSecond(b *testing.B) {
	p, all := newPage(), past{}
	st := &stream{page: p, choice: choice{Sort: sortPeers}, seed: maphash.MakeSeed(), sent: map[string]uint64{}}
	ring := refusals.New(refusals.DefaultSize)
	began := time.Now()
	var snaps []*Snapshot
	for i := range 64 {
		s := busyAt(began, ring, 1000, i)
		snaps = append(snaps, s)
	}
	bytes, n := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		s := *snaps[n%len(snaps)]
		s.At = began.Add(time.Duration(n) * every)
		f := &frame{asked: s.At, snapshot: &s, rates: all.add(&s)}
		parts, err := f.render(p, st.choice)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range st.news(parts) {
			bytes += len(c.HTML)
		}
	}
	b.ReportMetric(float64(bytes)/float64(n), "sent-B/op")
}

// A second's work is bounded, however many meshes there are: what is sent and
// what is allocated stand for the time that it takes.
func TestSecondIsCheap(t *testing.T) {
	p, all := newPage(), past{}
	st := &stream{page: p, choice: choice{Sort: sortPeers}, seed: maphash.MakeSeed(), sent: map[string]uint64{}}
	ring, began := refusals.New(refusals.DefaultSize), time.Now()
	second := func(i int) (sent int) {
		s := busyAt(began, ring, 1000, i)
		s.At = began.Add(time.Duration(i) * every)
		f := &frame{asked: s.At, snapshot: s, rates: all.add(s)}
		parts, err := f.render(p, st.choice)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range st.news(parts) {
			sent += len(c.HTML)
		}
		return sent
	}
	for i := range 3 {
		second(i)
	}
	if sent := second(3); sent > 100<<10 {
		t.Errorf("%d bytes are sent in a second in which everything moves", sent)
	}
	i := 3
	n := testing.AllocsPerRun(5, func() { i++; second(i) })
	t.Logf("%.0f allocations", n)
	if n > 30_000 {
		t.Errorf("%.0f allocations in a second", n)
	}
}
