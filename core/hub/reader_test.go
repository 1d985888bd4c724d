package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// scripted is a connection that has bytes to read, so many at a time, and then
// breaks. (An end in good order would have the WebSocket library take the parts
// of a message that have come for all of it; see FuzzReader.)
type scripted struct {
	net.Conn
	bytes []byte
	each  int
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.bytes) == 0 {
		return 0, io.ErrClosedPipe
	}
	n := copy(p[:min(len(p), s.each)], s.bytes)
	s.bytes = s.bytes[n:]
	return n, nil
}

// events are what a reader makes of some bytes: messages and control frames in
// order, and how it ends.
func events(r *reader) (got []string) {
	for {
		opcode, payload, err := r.next()
		b := breach("")
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("%x %s", opcode, payload))
		case errors.As(err, &b):
			return append(got, "breach")
		case errors.Is(err, errTooLong):
			return append(got, "too long")
		default:
			return append(got, "end")
		}
	}
}

func join(frames ...[]byte) []byte { return slices.Concat(frames...) }

func plainMasked(first byte, payload string) []byte {
	return masked(first, []byte(payload), [4]byte{9, 8, 7, 6})
}

const testLimit = 20_000

// hostile is what peers may send, and what a reader makes of it.
var hostile = []struct {
	name  string
	bytes []byte
	want  []string
}{
	{"nothing", nil, []string{"end"}},
	{"messages", join(plainMasked(finBit|opText, "a"), plainMasked(finBit|opBinary, ""), plainMasked(finBit|opText, "c")), []string{"1 a", "1 ", "1 c", "end"}},
	{"half a header", []byte{finBit | opText}, []string{"end"}},
	{"half a message", plainMasked(finBit|opText, "hello")[:8], []string{"end"}},
	{
		"a message in parts, with others between them",
		join(plainMasked(opText, "a"), plainMasked(finBit|opPing, "p"), plainMasked(opContinuation, ""), plainMasked(finBit|opPong, "q"), plainMasked(finBit|opContinuation, "b"), plainMasked(finBit|opText, "c")),
		[]string{"9 p", "a q", "1 ab", "1 c", "end"},
	},
	{"two messages in parts", bytes.Repeat(join(plainMasked(opText, "a"), plainMasked(finBit|opContinuation, "b")), 2), []string{"1 ab", "1 ab", "end"}},
	{"parts of nothing", join(plainMasked(opText, ""), plainMasked(opContinuation, ""), plainMasked(finBit|opContinuation, "")), []string{"1 ", "end"}},
	{"a continuation of nothing", plainMasked(finBit|opContinuation, "a"), []string{"breach"}},
	{"a continuation of a whole message", join(plainMasked(finBit|opText, "a"), plainMasked(finBit|opContinuation, "b")), []string{"1 a", "breach"}},
	{"a message within a message", join(plainMasked(opText, "a"), plainMasked(finBit|opText, "b")), []string{"breach"}},
	{"a frame without a mask behind one with", join(plainMasked(finBit|opText, "a"), []byte{finBit | opText, 1, 'b'}), []string{"1 a", "breach"}},
	{"the longest control frame", plainMasked(finBit|opClose, strings.Repeat("x", 125)), []string{"8 " + strings.Repeat("x", 125), "end"}},
	{"as long as may be", plainMasked(finBit|opText, strings.Repeat("x", testLimit)), []string{"1 " + strings.Repeat("x", testLimit), "end"}},
	{"longer", plainMasked(finBit|opText, strings.Repeat("x", testLimit+1)), []string{"too long"}},
	{"longer in parts", join(plainMasked(opText, strings.Repeat("x", testLimit)), plainMasked(opContinuation, ""), plainMasked(opContinuation, "x")), []string{"too long"}},
	{"longer, it says", plainMasked(finBit|opText, strings.Repeat("x", testLimit+1))[:100], []string{"end"}},
	{"without end, it says", join([]byte{finBit | opText, maskBit | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, make([]byte, testLimit+1)), []string{"too long"}},
}

// However the bytes come, a reader makes the same of them.
func TestReaderTakesFramesHoweverTheyCome(t *testing.T) {
	for _, tt := range hostile {
		for _, each := range []int{1, 7, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("%s, %d at a time", tt.name, each), func(t *testing.T) {
				r := &reader{}
				r.limit.Store(testLimit)
				early := tt.bytes[:min(len(tt.bytes), each/2)]
				r.start(&scripted{bytes: tt.bytes[len(early):], each: each}, early, &bufferPool{})
				if got := events(r); !slices.Equal(got, tt.want) {
					t.Errorf("got %.200q, want %.200q", got, tt.want)
				}
				r.close()
			})
		}
	}
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err = net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

func TestReaderReadsASocketByteByByte(t *testing.T) {
	for _, tt := range hostile {
		if len(tt.bytes) > 1000 {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			near, far := tcpPair(t)
			go func() {
				for _, b := range tt.bytes {
					_, _ = far.Write([]byte{b})
				}
				_ = far.Close()
			}()
			r := &reader{}
			r.limit.Store(testLimit)
			r.start(near, nil, &bufferPool{})
			defer r.close()
			if got := events(r); !slices.Equal(got, tt.want) {
				t.Errorf("got %.200q, want %.200q", got, tt.want)
			}
		})
	}
}

// What a reader skips is never kept, however long it is.
func TestReaderSkipsWhatIsDiscarded(t *testing.T) {
	long := plainMasked(finBit|opText, strings.Repeat("x", 1<<20))
	r := &reader{}
	r.limit.Store(testLimit)
	r.start(&scripted{bytes: join(long, plainMasked(finBit|opPong, "p"), plainMasked(opText, "a"), plainMasked(opText, "b"), plainMasked(finBit|opClose, "")), each: 1 << 20}, nil, &bufferPool{})
	if _, _, err := r.next(); !errors.Is(err, errTooLong) {
		t.Fatalf("got %v, want a message over the limit", err)
	}
	held := cap(r.buf.b)
	r.discard = true
	if got, want := events(r), []string{"a p", "8 ", "end"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r.buf != nil && cap(r.buf.b) > held {
		t.Errorf("the buffer grew to %d bytes, from %d", cap(r.buf.b), held)
	}
	r.close()
}

func TestReaderAtRestHoldsNothing(t *testing.T) {
	near, far := tcpPair(t)
	piped, pipe := net.Pipe()
	t.Cleanup(func() { _ = pipe.Close() })
	for name, line := range map[string][2]net.Conn{"a socket": {near, far}, "a pipe": {piped, pipe}} {
		t.Run(name, func(t *testing.T) {
			r := &reader{}
			r.limit.Store(testLimit)
			r.start(line[0], nil, &bufferPool{})
			go func() {
				_, _ = line[1].Write(join(plainMasked(opText, "a"), plainMasked(finBit|opContinuation, strings.Repeat("b", 10_000))))
			}()
			if _, payload, err := r.next(); err != nil || len(payload) != 10_001 {
				t.Fatalf("got %d bytes, %v", len(payload), err)
			}
			// A deadline that is over before the reader has looked shows nothing: try
			// with a later one.
			for wait := time.Millisecond; ; wait *= 2 {
				if err := line[0].SetReadDeadline(time.Now().Add(wait)); err != nil {
					t.Fatal(err)
				}
				if _, _, err := r.next(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("got %v, want nothing in time", err)
				}
				if r.buf == nil && r.parts == nil {
					return
				}
				if wait > 5*time.Second {
					t.Fatalf("at rest it holds %v and %v, want no buffer", r.buf, r.parts)
				}
			}
		})
	}
}
