//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pgtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable makes TestChild of a second test process do its part.
const childVariable = "PGTEST_CHILD"

// TestChild is the test process that ends in a bad way.
func TestChild(t *testing.T) {
	how := os.Getenv(childVariable)
	if how == "" {
		t.Skip("it runs in a process of its own")
	}
	fmt.Println("database", URL(t))
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	if how == "return" {
		return
	}
	c := NewCluster(t)
	for _, s := range []*server{s.server, c.server} {
		fmt.Printf("cluster %s %d\n", s.dir, s.postmaster.Process.Pid)
	}
	switch how {
	case "panic":
		panic("as the parent wishes")
	case "exit":
		os.Exit(0)
	}
	select {} // until it is killed
}

// child is a test process that ends as how says, given a server or none.
func child(how, server string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+how, urlVariable+"="+server)
	return cmd
}

func TestGivenServer(t *testing.T) {
	c := NewCluster(t)
	given := c.URL()
	out, err := child("return", given).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if prefix := "database " + c.server.url("pgtest_"); !strings.HasPrefix(string(out), prefix[:strings.Index(prefix, "?")]) {
		t.Errorf("got %s, want a database of the server that was given", out)
	}
	const left = "select count(*)::text from pg_database where datname like 'pgtest_%'"
	if got := value(t, given, left); got != "1" {
		t.Errorf("there are %s databases, want ours only", got)
	}

	c.Stop(t)
	if out, err := child("return", given).CombinedOutput(); err == nil || !contains(string(out), "connect to the server for tests") {
		t.Errorf("got %v, want that the server does not answer: %s", err, out)
	}
}

// A test process takes its servers with it, however it ends.
func TestNothingIsLeft(t *testing.T) {
	for _, how := range []string{"kill", "panic", "exit"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := child(how, "")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var dirs []string
			var pids []int
			for lines := bufio.NewScanner(out); len(dirs) < 2 && lines.Scan(); {
				var dir string
				var pid int
				if n, _ := fmt.Sscanf(lines.Text(), "cluster %s %d", &dir, &pid); n == 2 {
					dirs, pids = append(dirs, dir), append(pids, pid)
				}
			}
			if how == "kill" {
				cmd.Process.Kill()
			}
			cmd.Wait()
			if len(dirs) != 2 {
				t.Fatal("the child named no clusters")
			}
			for i := range dirs {
				eventually(t, dirs[i]+" is gone", func() bool {
					_, err := os.Stat(dirs[i])
					return os.IsNotExist(err)
				})
				eventually(t, "postmaster "+strconv.Itoa(pids[i])+" is gone", func() bool { return !alive(pids[i]) })
			}
		})
	}
}

// alive reports whether a process runs. One that nobody has waited for does not,
// though it has its pid; not every first process of a container waits.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || !strings.Contains(string(status), ") Z ")
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 30 s", what)
		}
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
