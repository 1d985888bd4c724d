// Package doctor looks at everything that a broker needs, says what is wrong,
// and how it is mended. It changes nothing: not the store, not a file, and not
// the broker that may run meanwhile.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
)

// State is the verdict on one thing.
type State string

// States. The words are a contract with other tools.
const (
	OK   State = "ok"
	Warn State = "warn" // it works, and something is worth a look
	Fail State = "fail" // it does not work, or will not
)

// Finding is one thing that was looked at. Its JSON is a contract with other
// tools; Check is one of the names below, behind which "plugin" has a colon and
// the name of its link.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`         // one line; texts of others are in it as they are
	Fix   string `json:"fix,omitempty"` // what to do, one line; always there unless State is OK
}

// Names of the checks, in the order in which they are done.
const (
	CheckConfig      = "config"
	CheckDataDir     = "data_dir"
	CheckDisk        = "disk"
	CheckBroker      = "broker"
	CheckStore       = "store"
	CheckIntegrity   = "integrity"
	CheckPermissions = "permissions"
	CheckConnections = "connections"
	CheckMigrations  = "migrations"
	CheckKey         = "encryption_key"
	CheckClock       = "clock"
	CheckBus         = "bus"
	CheckPlugin      = "plugin"
	CheckPublicURL   = "public_url"
	CheckProxies     = "proxies"
	CheckTelemetry   = "telemetry"
	CheckFiles       = "open_files"
	CheckMemory      = "memory"
)

// Subject is what is examined.
type Subject struct {
	Config  config.Config // data_dir is absolute
	Version string        // of this program

	// Keys returns the key that seals secrets as this program would find it; nil
	// without one.
	Keys func() (*identity.AtRest, error)

	// Plugins tries the programs of links.
	Plugins *pluginhost.Host

	Machine Machine
}

// checkTime bounds what a check waits for somebody else.
const checkTime = 5 * time.Second

// round is one examination.
type round struct {
	Subject
	report func(Finding)

	running *control.Client // nil when no broker runs here
	began   time.Time       // with the monotonic clock
}

// Examine does all checks, one after the other, and hands each finding to report
// when it is there.
func Examine(ctx context.Context, s Subject, report func(Finding)) {
	r := &round{Subject: s, report: report, began: s.Machine.Now()}
	dir := r.dataDir()
	r.disk(dir)
	r.broker(ctx)
	if r.running != nil {
		defer r.running.Close()
	}
	r.store(ctx)
	r.bus(ctx)
	r.plugins(ctx)
	r.ports(ctx)
	r.publicURL(ctx)
	r.proxies()
	r.telemetry(ctx)
	r.Machine.examine(r.pid(), r.Config, report)
}

// ExamineMachine does what can be done without a config.
func ExamineMachine(m Machine, report func(Finding)) {
	m.examine(0, config.Default(), report)
}

func (r *round) ok(check, format string, args ...any) {
	r.report(Finding{Check: check, State: OK, Found: fmt.Sprintf(format, args...)})
}

func (r *round) warn(check, fix, format string, args ...any) {
	r.report(Finding{Check: check, State: Warn, Found: fmt.Sprintf(format, args...), Fix: fix})
}

func (r *round) fail(check, fix, format string, args ...any) {
	r.report(Finding{Check: check, State: Fail, Found: fmt.Sprintf(format, args...), Fix: fix})
}

// pid is the process of the broker that runs, 0 without one.
func (r *round) pid() int {
	if r.running == nil {
		return 0
	}
	return r.running.About().PID
}

// broker looks for the broker that runs on the data directory.
func (r *round) broker(ctx context.Context) {
	c, err := control.Dial(ctx, r.Config.DataDir)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		r.ok(CheckBroker, "none runs on %s", r.Config.DataDir)
		return
	case err != nil:
		r.fail(CheckBroker, "run this as the user that the broker runs as; if it hangs, look at its log and start it again", "%v", err)
		return
	}
	r.running = c
	about := c.About()
	if about.Version != r.Version {
		r.warn(CheckBroker, "start the broker again to run the version that is installed, or use the program that it was started from",
			"process %d runs version %s, this program is %s", about.PID, about.Version, r.Version)
	} else {
		r.ok(CheckBroker, "process %d runs version %s since %s", about.PID, about.Version, about.StartedAt.Format(time.RFC3339))
	}
	r.lastReload(ctx)
}

// lastReload tells of a config that the broker did not take.
func (r *round) lastReload(ctx context.Context) {
	chain, err := r.running.Chain(ctx)
	if err != nil || chain.Loaded == nil || chain.Loaded.LastError == nil {
		return // an older broker says nothing of it
	}
	refused := chain.Loaded.LastError
	r.warn(CheckBroker, "mend the config, then broker reload", "goes on with the config before: the one of %s was refused: %s",
		refused.At.Format(time.RFC3339), refused.Text)
}
