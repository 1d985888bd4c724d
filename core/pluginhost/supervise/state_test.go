package supervise_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

func TestEndsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{}
		s := start(t, p.options(nil))
		first := time.Now()
		p.crash()
		time.Sleep(time.Second)
		second := time.Now()
		s.Kill("hang")
		synctest.Wait()
		want := []supervise.End{
			{At: second, Reason: "hang", Text: "hang: it was ended by a signal: killed"},
			{At: first, Reason: supervise.ReasonCrash, Text: `ended with exit code 1, after "boom"`, Stderr: "boom\n"},
		}
		got := s.State().Ends
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ends (-want +got):\n%s", diff)
		}
		got[0].Reason = "changed"
		if s.State().Ends[0].Reason != "hang" {
			t.Error("a copy of the state changes the supervisor's")
		}
	})
}

func TestEndsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{}
		s := start(t, p.options(nil))
		for i := range 40 {
			p.mu.Lock()
			l := p.lives[len(p.lives)-1]
			p.mu.Unlock()
			l.end(process.Exit{Code: i, Stderr: strings.Repeat("ä line\n", 10_000) + strings.Repeat("ä", 300)})
			time.Sleep(2 * time.Minute) // no loop
		}
		ends := s.State().Ends
		if len(ends) != supervise.EndsKept || !strings.Contains(ends[0].Text, fmt.Sprintf("code %d", 39)) || !ends[0].At.After(ends[1].At) {
			t.Fatalf("%d ends, the newest %+v", len(ends), ends[0])
		}
		for _, e := range ends {
			if len(e.Text) > 240 || len(e.Stderr) > 2<<10 || !strings.HasPrefix(e.Stderr, "ä line\n") || !utf8.ValidString(e.Text+e.Stderr) {
				t.Errorf("%d bytes of text, %d of what it printed: %q", len(e.Text), len(e.Stderr), e)
			}
		}
	})
}
