//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pgtest

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestClusterKeepsWhatWasCommitted(t *testing.T) {
	c := NewCluster(t)
	url := c.URL()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	run := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("create table words (word text)")
	run("insert into words values ('kept')")
	run("begin")
	run("insert into words values ('lost')")

	c.Stop(t)
	c.Stop(t) // does nothing
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a session outlived the server")
	}
	if other, err := pgx.Connect(t.Context(), url); err == nil {
		other.Close(t.Context())
		t.Fatal("a stopped server accepts connections")
	}

	c.Start(t)
	c.Start(t) // does nothing
	const words = "select string_agg(word, ' ') from words"
	if got := value(t, url, words); got != "kept" {
		t.Errorf("after the start there is %q, want %q", got, "kept")
	}
	c.Restart(t)
	if got := value(t, url, words); got != "kept" {
		t.Errorf("after the restart there is %q, want %q", got, "kept")
	}
	if got := value(t, url, "select current_setting('fsync')"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
}

func TestClusterIsGoneWithItsTest(t *testing.T) {
	var dir string
	var port int
	t.Run("of its own", func(t *testing.T) {
		c := NewCluster(t)
		dir, port = c.server.dir, c.server.port
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is there: %v", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatalf("the port is taken: %v", err)
	}
	l.Close()
}

func TestStartSaysWhatTheServerSaid(t *testing.T) {
	c := NewCluster(t)
	c.Stop(t)
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(c.server.port))
	if err != nil {
		t.Fatal(err)
	}
	err = c.server.start()
	l.Close()
	if err == nil || !contains(err.Error(), "it ended at once", "could not bind IPv4 address") {
		t.Errorf("got %v, want the end of the log", err)
	}
	c.Start(t)
}
