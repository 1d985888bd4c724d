package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/local"
	"github.com/claudemesh/broker/core/bus/nats"
	buspg "github.com/claudemesh/broker/core/bus/postgres"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// closeTime bounds how long a bus may take to send what is left.
const closeTime = 10 * time.Second

// JoinCluster makes the process a node among those that share its store, over
// the bus that the config selects. A store of one process has no nodes: then node
// is nil. Call closeBus when the node has ended.
func JoinCluster(ctx context.Context, c config.Config, st store.Store, version string, log *slog.Logger) (node *cluster.Node, closeBus func() error, err error) {
	shared, ok := st.(store.Shared)
	if !ok {
		return nil, func() error { return nil }, nil
	}
	b, err := openBus(ctx, c, log)
	if err != nil {
		return nil, nil, err
	}
	closeBus = func() error { //nolint:contextcheck // the bus is closed when ctx is over
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		return b.Close(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	node, err = cluster.Join(ctx, cluster.Options{
		Store: shared, Bus: b, Host: fmt.Sprintf("%s:%d", host, os.Getpid()), Version: version, Lease: c.Store.Lease, Log: log,
	})
	if err != nil {
		return nil, nil, errors.Join(err, closeBus())
	}
	return node, closeBus, nil
}

func openBus(ctx context.Context, c config.Config, log *slog.Logger) (bus.Bus, error) {
	switch c.BusKind() {
	case config.BusPostgres:
		return buspg.New(ctx, buspg.Options{URL: c.Store.URL.Reveal(), Channel: c.Bus.Prefix, Log: log})
	case config.BusNATS:
		n := c.Bus.NATS
		return nats.New(ctx, nats.Options{
			URLs: n.URLs, Prefix: c.Bus.Prefix, Log: log, CredsFile: n.CredsFile, NKeyFile: n.NKeyFile,
			User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(),
			CAFile: n.CAFile, CertFile: n.CertFile, KeyFile: n.KeyFile,
		})
	default:
		return local.New(), nil
	}
}
