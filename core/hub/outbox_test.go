package hub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// frameOf reads one unmasked frame.
func frameOf(t *testing.T, r io.Reader) (opcode byte, payload []byte) {
	t.Helper()
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		t.Fatalf("frame header: %v", err)
	}
	n := int(h[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint64(b[:]))
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatalf("frame payload of %d bytes: %v", n, err)
	}
	return h[0] & 0xf, payload
}

func testOutbox(t *testing.T, limit int) (*Outbox, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	o := newOutbox(ours, limit, &bufferPool{})
	t.Cleanup(func() {
		o.Abort()
		_ = theirs.Close()
		<-o.Flushed()
	})
	if err := theirs.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return o, theirs
}

func TestOutboxAsksForAPongBehindPushes(t *testing.T) {
	o, peer := testOutbox(t, 1<<20)
	number, ok := o.Push([]byte(`{"n":1}`))
	if !ok || number != 1 {
		t.Fatalf("first push: got %d, %v, want 1, true", number, ok)
	}
	if op, b := frameOf(t, peer); op != opText || string(b) != `{"n":1}` {
		t.Fatalf("got opcode %d %q, want the push", op, b)
	}
	op, ping := frameOf(t, peer)
	if op != opPing {
		t.Fatalf("got opcode %d behind the push, want a ping", op)
	}

	// Two more pushes while the ping is on its way are covered by the next one.
	o.Push([]byte(`{"n":2}`))
	o.Push([]byte(`{"n":3}`))
	for range 2 {
		if op, _ := frameOf(t, peer); op != opText {
			t.Fatalf("got opcode %d, want a push and no second ping", op)
		}
	}
	if got := o.Pong(ping); got != 1 {
		t.Errorf("pong confirms up to %d, want 1", got)
	}
	if got := o.Pong(ping); got != 0 {
		t.Errorf("the same pong again confirms up to %d, want nothing", got)
	}
	if op, ping = frameOf(t, peer); op != opPing {
		t.Fatalf("got opcode %d, want the ping for the later pushes", op)
	}
	if got := o.Pong(ping); got != 3 {
		t.Errorf("second pong confirms up to %d, want 3", got)
	}
}

func TestOutboxIgnoresPongsThatAnswerNothing(t *testing.T) {
	o, _ := testOutbox(t, 1<<20)
	for _, payload := range [][]byte{nil, []byte("1"), {0, 0, 0, 0, 0, 0, 0, 9}, bytes.Repeat([]byte{1}, 125)} {
		if got := o.Pong(payload); got != 0 {
			t.Errorf("pong %x confirms up to %d, want nothing", payload, got)
		}
	}
}

func TestOutboxFramesOfEverySizeArriveWhole(t *testing.T) {
	o, peer := testOutbox(t, 4<<20)
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20}
	go func() {
		for _, n := range sizes {
			o.Send(bytes.Repeat([]byte{'x'}, n))
		}
	}()
	for _, n := range sizes {
		if op, b := frameOf(t, peer); op != opText || len(b) != n {
			t.Fatalf("got opcode %d with %d bytes, want a text frame of %d", op, len(b), n)
		}
	}
}

func TestOutboxKeepsTheOrderOfEachSender(t *testing.T) {
	o, peer := testOutbox(t, 1<<20)
	const senders, each = 8, 200
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				o.Push([]byte{byte(s), byte(i)})
			}
		})
	}
	next := make([]int, senders)
	for range senders * each {
		op, b := frameOf(t, peer)
		if op == opPing {
			op, b = frameOf(t, peer)
		}
		if op != opText || int(b[1]) != next[b[0]] {
			t.Fatalf("sender %d: got message %d, want %d", b[0], b[1], next[b[0]])
		}
		next[b[0]]++
	}
	wg.Wait()
}

func TestOutboxTellsOnceThatAPeerIsSlow(t *testing.T) {
	o, _ := testOutbox(t, 4096)
	told := make(chan struct{}, 10)
	o.onSlow = func() { told <- struct{}{} }
	taken := 0
	for range 100 {
		if !o.Send(make([]byte, 512)) {
			break
		}
		taken++
	}
	if taken < 7 || taken > 17 {
		t.Errorf("took %d frames of 512 bytes, want what fits 4096 bytes beside the one being written", taken)
	}
	o.Send(make([]byte, 512))
	if len(told) != 1 {
		t.Errorf("told %d times, want once", len(told))
	}
}

// TestWaiting has two peers that read nothing yet. The first frame of each is with
// the socket.
func TestWaiting(t *testing.T) {
	h := New(Options{}, slog.New(slog.DiscardHandler))
	var outs []*Outbox
	var conns []net.Conn
	for id := range uint64(2) {
		o, peer := testOutbox(t, 1<<20)
		if !h.add(&Peer{id: id, out: o}) {
			t.Fatal("the hub takes no peer")
		}
		o.Send(make([]byte, 100))
		for start := time.Now(); o.waiting() > 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > 10*time.Second {
				t.Fatal("nobody writes")
			}
		}
		outs, conns = append(outs, o), append(conns, peer)
	}
	if n := h.Waiting(); n != 0 {
		t.Errorf("%d bytes wait behind what is being written, want none", n)
	}
	for _, o := range outs {
		o.Send(make([]byte, 120))
		o.Send(make([]byte, 300))
	}
	if n, want := h.Waiting(), 2*(2+120+4+300); n != want {
		t.Errorf("%d bytes wait, want %d", n, want)
	}
	for i, peer := range conns {
		for range 3 {
			frameOf(t, peer)
		}
		<-outs[i].Flushed()
	}
	if n := h.Waiting(); n != 0 {
		t.Errorf("%d bytes wait after all are read, want none", n)
	}
}

func TestOutboxCloseWritesWhatWaits(t *testing.T) {
	o, peer := testOutbox(t, 1<<20)
	o.Send([]byte("last words"))
	if err := o.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, b := frameOf(t, peer); string(b) != "last words" {
		t.Fatalf("got %q, want what was sent before the close", b)
	}
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read after the last frame: %v, want the end", err)
	}
	if o.Send([]byte("too late")) {
		t.Error("a frame was taken after the close")
	}
}

func TestOutboxAtRestHoldsNothing(t *testing.T) {
	o, peer := testOutbox(t, 1<<20)
	o.Send([]byte("hello"))
	frameOf(t, peer)
	<-o.Flushed()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf != nil || o.writing {
		t.Errorf("at rest: buffer %v, writing %v; want none", o.buf, o.writing)
	}
}

func BenchmarkOutboxPush(b *testing.B) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	o := newOutbox(ours, 1<<30, &bufferPool{})
	frame := make([]byte, 800)
	b.ReportAllocs()
	for b.Loop() {
		o.Push(frame)
	}
}
