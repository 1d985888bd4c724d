package meshsql

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// runner is an engine that ends each statement with the same error.
type runner struct {
	Engine
	err error
}

func (r *runner) Run(context.Context, Ask) (*Result, error) { return new(Result), r.err }

func TestStatementsAreCounted(t *testing.T) {
	r := new(runner)
	c := Count(r)
	for _, r.err = range []error{
		nil, Fail("no such table"), TooMuch(1), TooBusy(), &Error{Kind: Off}, errors.New("connection refused"), context.DeadlineExceeded, context.Canceled,
	} {
		if _, err := c.Run(t.Context(), Ask{}); !errors.Is(err, r.err) {
			t.Errorf("got %v, want %v", err, r.err)
		}
	}
	r.err = nil
	if _, err := c.Run(t.Context(), Ask{Writes: true}); err != nil {
		t.Fatal(err)
	}
	count := func(s *Statements) map[string]int64 {
		got := map[string]int64{}
		for _, sample := range s.Ended.Samples() {
			got[sample.Values[0]] = int64(sample.Value)
		}
		return got
	}
	want := map[string]int64{"done": 1, "failed": 1, "full": 1, "busy": 1, "off": 1, "away": 2, "gone": 1}
	if diff := cmp.Diff(want, count(&c.Queries)); diff != "" {
		t.Error(diff)
	}
	if got := count(&c.Executes); got["done"] != 1 || got["away"] != 0 || c.Executes.Took.Series(0).Count != 1 || c.Queries.Took.Series(0).Count != 8 {
		t.Errorf("got %v", got)
	}
}
