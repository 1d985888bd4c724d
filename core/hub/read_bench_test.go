//go:build unix

package hub

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the time that this process has had.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRead is what it costs to receive a message over a real socket, alone
// or with others in the same write. It includes the sender's write.
func BenchmarkRead(b *testing.B) {
	for _, burst := range []int{1, 16} {
		for _, size := range []int{100, 900, 64 << 10} {
			b.Run(fmt.Sprintf("%dx%d", burst, size), func(b *testing.B) { benchmarkRead(b, burst, size) })
		}
	}
}

func benchmarkRead(b *testing.B, burst, size int) {
	o := limits()
	o.HelloFrameBytes = 1 << 20
	h := New(o, slog.New(slog.DiscardHandler))
	read, ended := make(chan struct{}), make(chan struct{})
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := h.Accept(w, r, false)
		if err != nil {
			return
		}
		go func() {
			defer close(ended)
			p.Run(func(frame []byte) {
				if len(frame) != size {
					b.Errorf("a message of %d bytes, want %d", len(frame), size)
				}
				if n++; n%burst == 0 {
					read <- struct{}{}
				}
			}, func() {})
		}()
	}))
	defer srv.Close()
	line := lineTo(b, "ws"+strings.TrimPrefix(srv.URL, "http"))
	frames := bytes.Repeat(masked(finBit|opText, make([]byte, size), [4]byte{1, 2, 3, 4}), burst)
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		if _, err := line.Write(frames); err != nil {
			b.Fatal(err)
		}
		<-read
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N*burst), "cpu-ns/message")
	b.ReportMetric(0, "ns/op")
	_ = line.Close()
	<-ended
}
