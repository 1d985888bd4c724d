package chain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// described is a chain with one of everything that is printed.
func described(t *testing.T) *chain.Chain {
	t.Helper()
	grants := link("grants", &onlyStage{kinds: []sdk.Kind{sdk.KindSend}})
	hours := link("office-hours", &onlyStage{})
	hours.Name, hours.Deadline, hours.OnFailure = "hours", 50*time.Millisecond, chain.FailOpen
	legacy := link("legacy-auth", &onlyStage{})
	legacy.Enabled = false
	auth := chain.LinkSpec{Stage: "auth", Enabled: true, Use: factory(chain.RoleAuth, &onlyStage{})}
	route := chain.LinkSpec{Stage: "route", Enabled: true, Use: factory(chain.RoleRoute, answering())}
	c, err := chain.Build(chain.Spec{Links: []chain.LinkSpec{auth, legacy, grants, hours, route}, Timing: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// onlyStage judges and is nothing else.
type onlyStage struct {
	sdk.Stage
	kinds []sdk.Kind
}

func (s *onlyStage) Kinds() []sdk.Kind { return s.kinds }

func TestDescribeText(t *testing.T) {
	want := `
#  NAME         STAGE         ROLE                      KINDS  ON FAILURE   DEADLINE
0  auth         auth          auth                      all    fail_closed  none
1  legacy-auth  legacy-auth   gate                      off
2  grants       grants        gate                      send   fail_closed  none
3  hours        office-hours  gate                      all    fail_open    50ms
4  route        route         route, records, observes  all    fail_closed  none

KIND       VISITS
send       auth > grants > hours > route
any other  auth > hours > route
`
	var b strings.Builder
	b.WriteString("\n")
	if err := described(t).Describe(false).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSuffix(want, "\n"), "\n"), got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestDescribeTextWithCounters(t *testing.T) {
	c := mustBuildSpec(t, chain.Spec{
		Links:    []chain.LinkSpec{link("a", new(fake)), link("b", always(sdk.Refuse("no", "")))},
		Insecure: true, Timing: 1,
	})
	for range 3 {
		c.Run(t.Context(), new(sdk.Envelope))
	}
	var b strings.Builder
	if err := c.Describe(true).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CONTINUE  DENY  DROP  ANSWER  FAILED  MEAN",
		"none      3         0     0     0       0",
		"none      0         3     0     0       0",
		"insecure: true",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
}

func TestDescribeJSON(t *testing.T) {
	got, err := json.Marshal(described(t).Describe(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"links":[{"name":"auth","stage":"auth","role":"auth","enabled":true,"on_failure":"fail_closed","stats":`,
		`{"name":"legacy-auth","stage":"legacy-auth","role":"gate","enabled":false}`,
		`"kinds":["send"]`,
		`"deadline_ns":50000000`,
		`"paths":[{"kind":"send","links":["auth","grants","hours","route"]},{"kind":"*","links":["auth","hours","route"]}]`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the JSON lacks %s:\n%s", want, got)
		}
	}
}
