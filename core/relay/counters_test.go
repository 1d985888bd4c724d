package relay

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each question is counted once, where it was asked, and whoever wrote the letter
// that ends it chooses no new word.
func TestEndsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, err := w.ask("ada", "bo", `"1"`)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.nodes["a"].Waiting(); got != 1 {
			t.Errorf("%d wait", got)
		}
		if err := w.answer("bo", id, "yes"); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"bo", "nobody"} { // one ends with its time, one at once
			if _, err := w.ask("ada", to, ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		w.run()
		for _, reqID := range []string{`"2"`, `"3"`} {
			if _, err := w.ask("ada", "bo", reqID); err != nil {
				t.Fatal(err)
			}
		}
		for id := range w.nodes["a"].waiting["ada"] {
			w.nodes["a"].fail("ada", id, "a stranger's word")
			break
		}
		w.nodes["a"].Left("ada", w.conns["ada"])
		w.run()
		got := map[string]int64{}
		for _, s := range w.nodes["a"].Ended.Samples() {
			if s.Value > 0 {
				got[s.Values[0]] = int64(s.Value)
			}
		}
		want := map[string]int64{"answered": 1, "late": 1, "away": 1, "lost": 1, "left": 1}
		if diff := cmp.Diff(want, got); diff != "" || w.nodes["a"].Waiting() != 0 {
			t.Errorf("%d wait: %s", w.nodes["a"].Waiting(), diff)
		}
		time.Sleep(2 * time.Second) // so that who was asked on another node forgets, too
	})
}
