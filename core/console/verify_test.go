package console

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
)

// slow is a source whose verifications wait for the test.
func slow() (source *fake, finish chan admin.Verification) {
	source, finish = busy(6), make(chan admin.Verification)
	source.VerifyFn = func(ctx context.Context, _ string) (admin.Verification, error) {
		select {
		case v := <-finish:
			return v, nil
		case <-ctx.Done():
			return admin.Verification{}, context.Cause(ctx)
		}
	}
	return source, finish
}

func (r *rig) verifyMesh(mesh string) answer {
	r.tb.Helper()
	return r.do("POST", "/console/verify", url.Values{"mesh": {mesh}}, nil)
}

func TestVerify(t *testing.T) {
	source, finish := slow()
	r := open(t, source)
	r.enter()
	row := func() string {
		_, row, _ := strings.Cut(r.get("/console/").body, `<tr id="mesh-at-mesh-0001"`)
		row, _, _ = strings.Cut(row, "</tr>")
		return row
	}
	if a := r.verifyMesh("mesh-0001"); a.StatusCode != 202 {
		t.Fatalf("got %s: %s", a.Status, a.body)
	}
	until(t, "the row says that it runs", func() bool { return strings.Contains(row(), `aria-disabled="true">Verifying`) })
	if a := r.verifyMesh("mesh-0001"); a.StatusCode != 202 {
		t.Errorf("the same again: %s", a.Status)
	}
	a := r.verifyMesh("mesh-0003")
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "wait until that is done") {
		t.Errorf("a second one: %s: %s", a.Status, a.body)
	}
	until(t, "it is verified once", func() bool {
		source.mu.Lock()
		defer source.mu.Unlock()
		return slices.Equal(source.verified, []string{"mesh-0001"})
	})
	finish <- admin.Verification{Entries: 9, BrokenAt: 4, Why: "row does not have the content it was hashed with"}
	until(t, "the row says what came of it", func() bool {
		return strings.Contains(row(), "Broken") && strings.Contains(row(), "At entry 4: row does not have the content")
	})
	if body := r.get("/console/").body; !strings.Contains(body, `role="status">Audit log of `) {
		t.Error("nothing is said aloud")
	}
	if a := r.do("POST", "/console/verify", url.Values{"mesh": {"mesh-0003"}}, browser); a.StatusCode != 303 || a.Header.Get("Location") != "/console/#mesh-at-mesh-0003" {
		t.Errorf("a browser without scripts gets %s to %s", a.Status, a.Header.Get("Location"))
	}
	finish <- admin.Verification{Valid: true, Entries: 1204}
	for _, mesh := range []string{"", strings.Repeat("x", maxMeshID+1)} {
		if a := r.verifyMesh(mesh); a.StatusCode != 400 {
			t.Errorf("mesh %q: %s", mesh, a.Status)
		}
	}
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name, word, text string
		d                verdict
	}{
		{"it is intact", "Intact", "1,204 entries in 2 s.", verdict{Took: 2e9, Answer: admin.Verification{Valid: true, Entries: 1204}}},
		{"it is broken", "Broken", "At entry 4: rows are missing after the last one.", verdict{Answer: admin.Verification{BrokenAt: 4, Why: "rows are missing after the last one"}}},
		{"nobody knows", "Not verified", "No mesh has the id x.", verdict{Err: errors.New("no mesh has the id x")}},
		{"nobody knows, nor why", "Not verified", "No reason was given.", verdict{Err: errors.New("")}},
		{"nobody knows, in another language", "Not verified", "Ärger.", verdict{Err: errors.New("ärger")}},
		{"nobody knows, in no language", "Not verified", "\xff.", verdict{Err: errors.New("\xff")}},
		{"it runs", "Verifying", "Every entry is read.", verdict{Running: true}},
	}
	for _, tt := range tests {
		if v := newVerdict(tt.d); v.State.Word != tt.word || v.Text != tt.text {
			t.Errorf("%s: got %+v", tt.name, v)
		}
	}
}

// What runs when the page closes is given up, and waited for.
func TestCloseEndsVerifications(t *testing.T) {
	source, _ := slow()
	r := open(t, source)
	r.enter()
	r.verifyMesh("mesh-0001")
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := r.verifier.verdicts()["mesh-0001"]
	if d.Running || !errors.Is(d.Err, context.Canceled) {
		t.Errorf("got %+v", d)
	}
	if r.verifier.begin("mesh-0002") {
		t.Error("after the end it begins another one")
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	v := newVerifier(t.Context(), empty(), quiet())
	for i := range maxVerdicts + 20 {
		until(t, "there is room", func() bool { return v.begin("mesh-" + strconv.Itoa(i)) })
	}
	v.wait()
	all := v.verdicts()
	_, first := all["mesh-0"]
	_, last := all["mesh-"+strconv.Itoa(maxVerdicts+19)]
	if len(all) != maxVerdicts || first || !last {
		t.Errorf("%d are remembered, the first %v, the last %v", len(all), first, last)
	}
}
