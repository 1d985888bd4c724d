package bustest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/bus"
)

func others(t *testing.T, r Rig) {
	a, b, c := r.open(t), r.open(t), r.open(t)
	inA, inB, inC := listen(a, "x", "end"), listen(b, "x", "end"), listen(c, "x", "end")
	a.Publish("x", []byte("hi"))
	inB.want(t, "x hi")
	inC.want(t, "x hi")
	b.Publish("end", nil) // had a heard itself, it would have done so before
	inA.want(t, "end ")
	inC.want(t, "x hi", "end ")
}

func exact(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "mesh.one", "end")
	for _, subject := range []string{"mesh", "mesh.one.two", "mesh.One", "one", "mesh.on", "mesh.one", "end"} {
		a.Publish(subject, []byte(subject))
	}
	in.want(t, "mesh.one mesh.one", "end end")
}

// order is what a presence change needs that is followed by messages.
func order(t *testing.T, r Rig) {
	const n = 5000
	a, b := r.open(t), r.open(t)
	subjects := []string{"s0", "s1", "s2"}
	in := listen(b, subjects...)
	want := make([]string, n)
	for i := range n {
		subject := subjects[rand.IntN(len(subjects))]
		want[i] = fmt.Sprintf("%s %d", subject, i)
		a.Publish(subject, strconv.AppendInt(nil, int64(i), 10))
	}
	in.want(t, want...)
}

func copies(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "x")
	data := []byte("before")
	a.Publish("x", data)
	copy(data, "behind")
	in.want(t, "x before")
}

func cancels(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "end")
	cancel := b.Subscribe("x", func(data []byte) { in.add("x " + string(data)) })
	a.Publish("x", []byte("1"))
	in.want(t, "x 1")
	cancel()
	cancel() // once more does nothing
	a.Publish("x", []byte("2"))
	a.Publish("end", nil)
	in.want(t, "x 1", "end ")
	b.Subscribe("x", func(data []byte) { in.add("x " + string(data)) })
	a.Publish("x", []byte("3"))
	in.want(t, "x 1", "end ", "x 3")
}

func several(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in, second := listen(b, "x"), &inbox{}
	cancel := b.Subscribe("x", func(data []byte) { second.add(string(data)) })
	a.Publish("x", []byte("1"))
	in.want(t, "x 1")
	second.want(t, "1")
	cancel()
	a.Publish("x", []byte("2"))
	in.want(t, "x 1", "x 2")
	second.want(t, "1")
}

func reentrant(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(a, "answer", "end")
	var cancel func()
	cancel = b.Subscribe("ask", func([]byte) {
		cancel()
		b.Publish("answer", []byte("once"))
	})
	b.Subscribe("bye", func([]byte) { b.Publish("end", nil) })
	a.Publish("ask", nil)
	in.want(t, "answer once")
	a.Publish("ask", nil)
	a.Publish("bye", nil)
	in.want(t, "answer once", "end ")
}

func sizes(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	var mu sync.Mutex
	var got [][]byte
	b.Subscribe("x", func(data []byte) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, data)
	})
	var want [][]byte
	random := rand.NewChaCha8([32]byte{})
	for _, size := range []int{0, 1, 100, 5000, 5900, 5950, 6000, 7999, 8000, 65536, bus.MaxPayload, 3, bus.MaxPayload} {
		data := make([]byte, size)
		_, _ = random.Read(data) // never fails
		want = append(want, data)
		a.Publish("x", data)
	}
	eventually(t, "all sizes arrive", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(want) })
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("message %d of %d bytes arrived as %d others", i, len(want[i]), len(got[i]))
		}
	}
}

func refuses(t *testing.T, r Rig) {
	a, b := r.open(t), r.open(t)
	in := listen(b, "x", "x y", "*", "", "a..b")
	before := a.Stats()
	a.Publish("x", make([]byte, bus.MaxPayload+1))
	for _, subject := range []string{"x y", "*", "", "a..b", "x\r\n", strings.Repeat("x", 256)} {
		a.Publish(subject, nil)
	}
	a.Publish("x", []byte("good"))
	in.want(t, "x good")
	if got := a.Stats().Dropped - before.Dropped; got != 7 {
		t.Errorf("%d are counted as dropped, want 7", got)
	}
}

func many(t *testing.T, r Rig) {
	const n, at = 10_000, 32
	a, b := r.open(t), r.open(t)
	in := listen(b, "end")
	cancels := make([]func(), n)
	var g sync.WaitGroup
	for w := range at {
		g.Go(func() {
			for i := w; i < n; i += at {
				subject := "key." + strconv.Itoa(i)
				cancels[i] = b.Subscribe(subject, func([]byte) { in.add(subject) })
			}
		})
	}
	g.Wait()
	a.Publish("key.0", nil)
	a.Publish("key.9999", nil)
	in.want(t, "key.0", "key.9999")
	for _, cancel := range cancels {
		cancel()
	}
	a.Publish("key.5", nil)
	a.Publish("end", nil)
	in.want(t, "key.0", "key.9999", "end ")
}

func concurrent(t *testing.T, r Rig) {
	const nodes, writers, each = 3, 4, 200
	var g sync.WaitGroup
	inboxes, buses := make([]*inbox, nodes), make([]bus.Bus, nodes)
	for i := range nodes {
		buses[i] = r.open(t)
		inboxes[i] = listen(buses[i], "all")
	}
	for _, b := range buses {
		for w := range writers {
			g.Go(func() {
				for i := range each {
					b.Publish("all", []byte("x"))
					b.Subscribe(fmt.Sprintf("own.%d.%d", w, i), func([]byte) {})()
				}
			})
		}
	}
	g.Wait()
	for _, in := range inboxes {
		eventually(t, "everything of the others arrives", func() bool { return len(in.all()) == (nodes-1)*writers*each })
	}
}
