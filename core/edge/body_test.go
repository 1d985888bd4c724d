package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bodies answers with what became of the body.
func bodies(limit int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := ReadBody(w, r, limit)
		switch {
		case errors.Is(err, ErrTooLarge):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case errors.Is(err, ErrIncomplete):
			w.WriteHeader(http.StatusBadRequest)
		case err != nil:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = w.Write(body)
		}
	}
}

// talk writes to a new connection and returns the first answer, nil when there
// was none, and what follows: nil is an open connection.
func talk(t *testing.T, url, text string) (resp *http.Response, end error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err = http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return resp, err
	}
	resp.Body.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err = in.ReadByte(); errors.Is(err, io.EOF) || !isTimeout(err) {
		return resp, io.EOF
	}
	return resp, nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestReadBody(t *testing.T) {
	_, url := serve(t, Options{}, bodies(10), func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
	const head = "POST / HTTP/1.1\r\nHost: localhost\r\n"
	sized := func(claimed int, body string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, claimed, body)
	}
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, text string
		status     int
		closed     bool
	}{
		{"it reads a body of the limit", sized(10, "0123456789"), 200, false},
		{"it reads none", sized(0, ""), 200, false},
		{"it reads chunks", chunked + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200, false},
		{"it refuses one byte more", sized(11, "0123456789a"), 413, true},
		{"it refuses a large one before it comes", sized(1<<40, ""), 413, true},
		{"it refuses chunks beyond the limit", chunked + "b\r\n0123456789a\r\n", 413, true},
		{"it gives up on a slow body", sized(10, "0123"), 400, true},
		{"it gives up on slow chunks", chunked + "5\r\n01", 400, true},
		{"it refuses broken chunks", chunked + "zz\r\n", 400, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			resp, end := talk(t, url, tt.text)
			if resp == nil || resp.StatusCode != tt.status {
				t.Fatalf("got %v, %v, want %d", resp, end, tt.status)
			}
			if tt.closed && end == nil {
				t.Error("the connection is still open")
			}
			if !tt.closed && resp.Close {
				t.Error("the connection is not kept")
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestSlowHeader(t *testing.T) {
	_, url := serve(t, Options{}, told, func(s *http.Server) { s.ReadHeaderTimeout = 200 * time.Millisecond })
	start := time.Now()
	if resp, end := talk(t, url, "GET / HTTP/1.1\r\nHost: local"); resp != nil && resp.StatusCode == http.StatusOK || end == nil {
		t.Errorf("got %v, %v", resp, end)
	}
	if took := time.Since(start); took < 100*time.Millisecond || took > 3*time.Second {
		t.Errorf("closed after %s, want 200ms", took)
	}
}

// A refusal does not wait for a body.
func TestTooManyDoesNotWait(t *testing.T) {
	_, url := serve(t, Options{PerAddress: perMinute(1, 1)}, told)
	const text = "POST / HTTP/1.1\r\nHost: broker\r\nContent-Length: 1000\r\n\r\n"
	_, _ = talk(t, url, "GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
	start := time.Now()
	resp, end := talk(t, url, text)
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests || !resp.Close {
		t.Errorf("got %v, %v", resp, end)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}
