package app_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// childStore is set for a child process: the store that it serves.
const childStore = "BROKER_TEST_CHILD_STORE"

// TestMain is also the broker of tests that kill one: they run this binary
// again, as a process of its own.
func TestMain(m *testing.M) {
	if path := os.Getenv(childStore); path != "" {
		if err := serveChild(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveChild serves a store until the process is killed.
func serveChild(path string) error {
	cfg := unlimited()
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Durability: sqlite.Durability(cfg.Store.Durability)})
	if err != nil {
		return err
	}
	options := app.Options{
		Config: cfg, Store: st, Factories: factories, Version: "child",
		Log:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Ready: func(addr string) { fmt.Println("ready", addr) },
	}
	if err := holdInChild(&options); err != nil {
		return err
	}
	a, err := app.New(context.Background(), options)
	if err != nil {
		return err
	}
	return a.Run(context.Background())
}

// unlimited is a config for tests that send a lot.
func unlimited() config.Config {
	cfg := config.Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.Store.Durability = config.SurvivesProcess
	for i := range cfg.Pipeline {
		if cfg.Pipeline[i].Stage == "rate-limit" {
			cfg.Pipeline[i].With = map[string]any{"send": "off"}
		}
	}
	return cfg
}

// child is a broker in a process of its own.
type child struct {
	cmd *exec.Cmd
	url string
}

// startChild runs a broker on the store file and waits until it accepts.
func startChild(tb testing.TB, path string) *child {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	c := &child{cmd: exec.CommandContext(tb.Context(), self, "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), childStore+"="+path)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		tb.Fatalf("start a broker: %v", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		tb.Fatalf("the broker said %q: %v", line, err)
	}
	c.url = "ws://" + addr + "/ws"
	return c
}

// kill ends the process as a crash does.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
}
