package logging_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLevelChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, level := logging.New(&out, config.Log{Level: "warn"})
	with := log.With(slog.String("link", "auth")) // made before the change
	with.Info("one")
	if s := level.Set(slog.LevelDebug, 0); s.Level != slog.LevelDebug || s.Configured != slog.LevelWarn || !s.Until.IsZero() {
		t.Errorf("got %+v", s)
	}
	with.Debug("two")
	level.Set(slog.LevelError, 0)
	with.Warn("three")
	text := out.String()
	if strings.Contains(text, "one") || !strings.Contains(text, "two") || strings.Contains(text, "three") {
		t.Errorf("got %s", text)
	}
	for _, change := range []string{`"to":"DEBUG","from":"WARN"`, `"to":"ERROR","from":"DEBUG"`} {
		if strings.Count(text, change) != 1 {
			t.Errorf("no line says %s: %s", change, text)
		}
	}
}

func TestLevelGoesBack(t *testing.T) {
	t.Parallel()
	type step struct {
		set   slog.Level
		while time.Duration // of the level
		wait  time.Duration // after it was set
		want  slog.Level
	}
	const d, i, w, e = slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError
	for name, steps := range map[string][]step{
		"it goes back when the time is over":            {{d, time.Minute, time.Minute - 1, d}, {d, time.Minute, time.Minute + 1, i}},
		"it goes back to what was set without an end":   {{w, 0, time.Hour, w}, {d, time.Minute, 2 * time.Minute, w}},
		"a second time counts from the second":          {{d, time.Minute, 50 * time.Second, d}, {d, time.Minute, 50 * time.Second, d}, {d, 1, time.Second, i}},
		"one without an end ends the time of the first": {{d, time.Minute, time.Second, d}, {e, 0, time.Hour, e}},
		"another one in between":                        {{d, time.Minute, time.Second, d}, {e, time.Second, 2 * time.Second, i}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, level := logging.New(discard{}, config.Log{Level: "info"})
				for n, s := range steps {
					if got := level.Set(s.set, s.while); got.Level != s.set || got.Until.IsZero() != (s.while == 0) {
						t.Errorf("step %d: %+v", n, got)
					}
					time.Sleep(s.wait)
					synctest.Wait()
					if level.Level() != s.want || level.State().Level != s.want {
						t.Errorf("step %d: the level is %v, want %v", n, level.Level(), s.want)
					}
				}
			})
		})
	}
}

func TestLevelIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	log, level := logging.New(discard{}, config.Log{Level: "info"})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for k := range 200 {
				level.Set(slog.Level(4*(k%3)-4), time.Duration(k%2)*time.Microsecond)
				log.Info("it happened", slog.String("who", fmt.Sprint(n)))
				level.State()
			}
		})
	}
	all.Wait()
	level.Set(slog.LevelInfo, 0)
	if s := level.State(); s.Level != slog.LevelInfo || !s.Until.IsZero() {
		t.Errorf("got %+v", s)
	}
}
