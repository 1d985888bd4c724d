package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrokenConfig asks a broker whose file was broken since it started, as
// whoever is sent by BrokerReloadFailed does.
func TestBrokenConfig(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := filepath.Join(x.home, "broker.yaml")
	text := "data_dir: " + x.data + "\nreload: {watch: false}\nconsole: {listen: 127.0.0.1:0}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := x.start("serve", "--listen", "127.0.0.1:0", "--durability", "process", "--config", file)
	r.out.wait(r, "ready ws://")
	if err := os.WriteFile(file, []byte(text+"lisen: 4\npipelin: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asks := [][]string{
		{"chain"}, {"refusals"}, {"log", "level"}, {"plugin", "list"}, {"health"}, {"console"}, {"member", "list", "home"},
	}
	for _, args := range asks {
		got := x.try(append(args, "--config", file)...)
		if got.code != exitOK || !strings.HasPrefix(got.err, "broker: warning: "+file+":4:1: lisen: unknown key") ||
			!strings.Contains(got.err, "and 1 more") || !strings.HasSuffix(got.err, "Asking it.\n") || strings.Count(got.err, "\n") != 1 {
			t.Errorf("%v: exit %d\n%s%s", args, got.code, got.out, got.err)
		}
	}
	if got := x.try("reload", "--config", file); got.code != exitFailed || !strings.Contains(got.err, "Asking it.\n") || !strings.Contains(got.err, "nothing was changed") {
		t.Errorf("reload: exit %d, %s", got.code, got.err)
	}
	r.end()
	for _, args := range append(asks, []string{"reload"}) {
		got := x.try(append(args, "--config", file)...)
		if got.code != exitFailed || !strings.HasPrefix(got.err, "broker: config: "+file+":4:1: lisen: unknown key") || got.out != "" {
			t.Errorf("%v without a broker: exit %d\n%s%s", args, got.code, got.out, got.err)
		}
	}
}
