package edge

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestConnections(t *testing.T) {
	e := New(Options{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/take" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				t.Cleanup(func() { conn.Close() })
			}
		}
	}))
	s.Config.ConnState = e.Connections(1) // which is 16
	s.Start()
	t.Cleanup(s.Close)

	open := func(path string) (answered bool, conn net.Conn) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			return false, nil
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.HasPrefix(line, "HTTP/1.1 "), conn
	}
	for range 20 { // sockets, which do not count
		if ok, _ := open("/take"); !ok {
			t.Fatal("a socket was closed")
		}
	}
	var first net.Conn
	for i := range 20 {
		ok, conn := open("/")
		if ok != (i < leastConnections) {
			t.Fatalf("connection %d was answered: %v", i, ok)
		}
		if i == 0 {
			first = conn
		}
	}
	first.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if ok, _ := open("/"); ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a connection that was closed still counts")
		}
	}
}

func TestConnectionsWithoutALimit(t *testing.T) {
	if New(Options{}).Connections(0) != nil {
		t.Error("counts what it does not limit")
	}
}
