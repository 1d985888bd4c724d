package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// mortal is a fake that can be down.
type mortal struct {
	fake
	HealthFn func() error
}

func (m *mortal) Health() error { return m.HealthFn() }

// plugged is a link with a stage of a program, as the plugin host makes them.
func plugged(name string, s sdk.Stage) chain.LinkSpec {
	f := factory(chain.RoleGate, s)
	f.Plugin, f.Policies = "bin/"+name, []chain.Policy{chain.Hold, chain.FailClosed, chain.FailOpen, chain.Fallback}
	return chain.LinkSpec{Stage: name, Enabled: true, Use: f, Required: true}
}

var errRestarting = errors.New("restarting,\nfor the 3rd time")

func mixedHealth() []chain.LinkSpec {
	down := func() error { return errRestarting }
	up := plugged("up", &mortal{HealthFn: func() error { return nil }})
	needed := plugged("needed", &mortal{HealthFn: down})
	spared := plugged("spared", &mortal{HealthFn: down})
	spared.Required = false
	lost := plugged("lost", &mortal{HealthFn: func() error { panic("no process") }})
	shadow := shadowed(plugged("shadow", &mortal{HealthFn: down}))
	off := plugged("off", &mortal{HealthFn: down})
	off.Enabled = false
	return []chain.LinkSpec{up, needed, spared, lost, shadow, off, link("built-in", new(fake))}
}

func TestConditions(t *testing.T) {
	got := mustBuild(t, mixedHealth()...).Conditions()
	want := []chain.Condition{
		{Link: "needed", Required: true, Err: errRestarting},
		{Link: "spared", Err: errRestarting},
		{Link: "lost", Required: true, Err: cmpopts.AnyError},
		{Link: "shadow", Err: errRestarting},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDescribePlugins(t *testing.T) {
	links := mixedHealth()
	links[1].OnFailure, links[1].Fallback = chain.Fallback, &chain.LinkSpec{Stage: "spare"}
	links[2].Then, links[2].Fallback = chain.Fallback, &chain.LinkSpec{Stage: "spare"}
	links[3].Then = chain.FailOpen
	c := mustBuildWith(t, spare(always(sdk.Refuse("no", ""))), nil, links...)
	const before = `
#  NAME      STAGE     PLUGIN      ROLE                                 KINDS  ON FAILURE                 DEADLINE  CONDITION
0  up        up        bin/up      gate, records, observes              all    hold, then fail_closed     none      required
1  needed    needed    bin/needed  gate, records, observes              all    fallback spare             none      required
2  spared    spared    bin/spared  gate, records, observes              all    hold, then fallback spare  none
3  lost      lost      bin/lost    gate, records, observes              all    hold, then fail_open       none      required
4  shadow    shadow    bin/shadow  gate, observes, in shadow            all    no effect                  none
5  off       off       bin/off     gate                                 off
6  built-in  built-in              gate, records, observes              all    fail_closed                none
`
	checkTable(t, before, c.Describe(false))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const running = `
#  NAME      STAGE     PLUGIN      ROLE                       KINDS  ON FAILURE                 DEADLINE  CONDITION
0  up        up        bin/up      gate, records, observes    all    hold, then fail_closed     none      up, required
1  needed    needed    bin/needed  gate, records, observes    all    fallback spare             none      down: restarting, for the 3rd time, required
2  spared    spared    bin/spared  gate, records, observes    all    hold, then fallback spare  none      down: restarting, for the 3rd time
3  lost      lost      bin/lost    gate, records, observes    all    hold, then fail_open       none      down: panic: no process, required
4  shadow    shadow    bin/shadow  gate, observes, in shadow  all    no effect                  none      down: restarting, for the 3rd time
5  off       off       bin/off     gate                       off
6  built-in  built-in              gate, records, observes    all    fail_closed                none      up
`
	checkTable(t, running, c.Describe(false))
	d := c.Describe(false).Links
	if d[2].Then != chain.Fallback || d[2].Fallback != "spare" || d[4].Required || !d[4].Shadow || d[5].Condition != "" || d[5].Plugin != "bin/off" {
		t.Errorf("got %+v", d)
	}
}

// checkTable compares the table, without what is below it. Columns may be wider
// in want.
func checkTable(t *testing.T, want string, d chain.Description) {
	t.Helper()
	var b strings.Builder
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(b.String(), "\n\n")
	if diff := cmp.Diff(cells(want), cells(table)); diff != "" {
		t.Errorf("table (-want +got):\n%s\n%s", diff, table)
	}
}

func cells(table string) (lines []string) {
	for line := range strings.Lines(strings.TrimSpace(table)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestDescribeShadow(t *testing.T) {
	c := mustBuild(t, shadowed(link("strict", always(sdk.Refuse("no", "")))), link("route", answering()))
	for range 3 {
		journey(t, c, new(sdk.Envelope))
	}
	var b strings.Builder
	if err := c.Describe(true).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := `
SHADOW  SAID           CHAIN   COUNT
strict  deny           answer  3
strict  disagreements          3
strict  not judged             0
`
	if !strings.Contains(b.String(), want) {
		t.Errorf("the text lacks\n%s\n%s", want, b.String())
	}
}
