package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
)

// A verification that came to no answer leaves the one before.
func TestNoAnswerLeavesTheVerdictBefore(t *testing.T) {
	source := busy(6)
	answers := []admin.Verification{{BrokenAt: 7, Why: "row does not have the content it was hashed with"}}
	source.VerifyFn = func(context.Context, string) (admin.Verification, error) {
		if len(answers) == 0 {
			return admin.Verification{}, errors.New("the store does not answer")
		}
		answer := answers[0]
		answers = answers[1:]
		return answer, nil
	}
	r := open(t, source)
	r.enter()
	for try := range 3 {
		if a := r.verifyMesh("mesh-0001"); a.StatusCode != http.StatusAccepted {
			t.Fatalf("try %d: %s", try, a.Status)
		}
		until(t, "it has ended", func() bool { return !r.verifier.verdicts()["mesh-0001"].Running })
		v := newVerdict(r.verifier.verdicts()["mesh-0001"])
		if v.State.Word != "Broken" || !strings.HasPrefix(v.Text, "At entry 7: row does not") || strings.Contains(v.Text, "the store does not answer.") != (try > 0) {
			t.Errorf("try %d: %+v", try, v)
		}
	}
	f := &frame{verdicts: r.verifier.verdicts()}
	if got := spoken(f); !strings.Contains(got, "broken. At entry 7") || !strings.Contains(got, "without an answer") {
		t.Errorf("what is said aloud is %q", got)
	}
}

// While it is verified again, the row still says what is known.
func TestVerifyingAgainShowsWhatIsKnown(t *testing.T) {
	known := verdict{Answer: admin.Verification{BrokenAt: 7, Why: "hash"}}
	v := newVerdict(verdict{Running: true, Last: &known})
	if v.State.Word != "Verifying" || v.Text != "Every entry is read. Before: broken. At entry 7: hash." {
		t.Errorf("got %+v", v)
	}
}

// Who is told to wait leaves no trace in what is known of the mesh.
func TestBusyLeavesTheVerdict(t *testing.T) {
	source, finish := slow()
	r := open(t, source)
	r.enter()
	r.verifyMesh("mesh-0002")
	finish <- admin.Verification{BrokenAt: 7, Why: "hash"}
	until(t, "it has ended", func() bool { return !r.verifier.verdicts()["mesh-0002"].Running })
	r.verifyMesh("mesh-0001")
	a := r.verifyMesh("mesh-0002")
	if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
		t.Errorf("a second one: %s: %s", a.Status, a.body)
	}
	if v := newVerdict(r.verifier.verdicts()["mesh-0002"]); v.State.Word != "Broken" {
		t.Errorf("then it says %+v", v)
	}
	finish <- admin.Verification{Valid: true}
}
