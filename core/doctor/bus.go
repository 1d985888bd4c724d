package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/nats"
	"github.com/claudemesh/broker/core/config"
)

// bus sends something to itself, as the brokers do to each other.
func (r *round) bus(ctx context.Context) {
	began := r.Machine.Now()
	switch r.Config.BusKind() {
	case config.BusPostgres:
		if err := r.listenNotify(ctx); err != nil {
			r.fail(CheckBus, "give store.url a direct connection to PostgreSQL, or a pooler in session mode; or set bus.type to nats", "LISTEN and NOTIFY: %v", err)
			return
		}
		r.ok(CheckBus, "PostgreSQL, there and back in %v", r.since(began))
	case config.BusNATS:
		if err := r.throughNATS(ctx); err != nil {
			r.fail(CheckBus, "look whether NATS runs, whether bus.nats.urls and the credentials are right, and whether they may publish and subscribe below "+r.Config.Bus.Prefix+".>",
				"NATS: %v", err)
			return
		}
		r.ok(CheckBus, "NATS, there and back in %v", r.since(began))
	default:
		if r.Config.Store.Engine() == "postgres" {
			r.warn(CheckBus, "set bus.type to auto, unless this is the only broker on the database", "local: other brokers on this database are not heard")
			return
		}
		r.ok(CheckBus, "local: one broker needs none")
	}
}

func (r *round) since(t time.Time) time.Duration {
	return r.Machine.Now().Sub(t).Round(100 * time.Microsecond)
}

// throughNATS sends a message from one node to another, below a prefix that no
// broker has.
func (r *round) throughNATS(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTime)
	defer cancel()
	var heard listener
	prefix := r.Config.Bus.Prefix + "." + "doctor-" + strings.ToLower(rand.Text())
	to, err := r.openNATS(ctx, prefix, &heard)
	if err != nil {
		return err
	}
	defer closeBus(to)
	from, err := r.openNATS(ctx, prefix, &heard)
	if err != nil {
		return err
	}
	defer closeBus(from)
	arrived := make(chan struct{})
	once := sync.OnceFunc(func() { close(arrived) })
	cancelHearing := to.Subscribe("doctor", func([]byte) { once() })
	defer cancelHearing()
	if !to.Up() || !from.Up() {
		return heard.or(errors.New("no server answers"))
	}
	again := time.NewTicker(100 * time.Millisecond) // the other node may not hear yet
	defer again.Stop()
	for {
		from.Publish("doctor", nil)
		select {
		case <-arrived:
			return nil
		case <-ctx.Done():
			return heard.or(errors.New("connected, but a message never arrived"))
		case <-again.C:
		}
	}
}

func (r *round) openNATS(ctx context.Context, prefix string, heard *listener) (bus.Bus, error) {
	n := r.Config.Bus.NATS
	return nats.New(ctx, nats.Options{
		URLs: n.URLs, Prefix: prefix, NodeID: "doctor", Log: slog.New(heard), CredsFile: n.CredsFile, NKeyFile: n.NKeyFile,
		User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(),
		CAFile: n.CAFile, CertFile: n.CertFile, KeyFile: n.KeyFile,
	})
}

func closeBus(b bus.Bus) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = b.Close(ctx) // nothing was published that could be lost
}

// listener is a log that keeps the last error which a bus has logged: a bus that
// cannot connect goes on trying, and says why nowhere else.
type listener struct {
	mu  sync.Mutex
	err error
}

// or returns what the bus has logged, or err.
func (l *listener) or(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return fmt.Errorf("%w: %w", err, l.err)
	}
	return err
}

// Enabled implements [slog.Handler].
func (*listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements [slog.Handler].
func (l *listener) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.err = err
		}
		return true
	})
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *listener) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *listener) WithGroup(string) slog.Handler { return l }
