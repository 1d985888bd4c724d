package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
)

// TestTokenFileIsItsOwnersAlone holds that a token which others can read or
// write is not taken, and that the error says what to do.
func TestTokenFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o640, 0o604, 0o620, 0o666} {
		c := config.Default()
		c.DataDir = t.TempDir()
		c.Console.Listen = "127.0.0.1:0"
		file := filepath.Join(c.DataDir, tokenName)
		if err := os.WriteFile(file, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := consoleToken(c)
		if open := mode&0o077 != 0; open != (err != nil) || open && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	c := config.Default()
	c.DataDir = t.TempDir()
	c.Console.Listen = "127.0.0.1:0"
	if err := os.Mkdir(filepath.Join(c.DataDir, tokenName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := consoleToken(c); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
}

// TestConsoleOfAnotherConfig holds that the token of a config with which the
// broker was not started is not given out as the broker's.
func TestConsoleOfAnotherConfig(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.serve("--set", "console.listen=127.0.0.1:0", "--set", "console.token=0123456789abcdef-one")
	if out := x.ok(append([]string{"console"}, x.on("--set", "console.token=0123456789abcdef-one")...)...); !strings.Contains(out, "-one") {
		t.Error(out)
	}
	r := x.try(append([]string{"console"}, x.on("--set", "console.token=0123456789abcdef-two")...)...)
	if r.code == exitOK || strings.Contains(r.out+r.err, "-two") || !strings.Contains(r.err, "is not the token that the broker was started with") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
}
