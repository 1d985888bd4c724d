package nats

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/claudemesh/broker/core/bus"
)

// What makes the client notice a dead server, and how it returns. A server that
// is silent is given up after pingEvery × maxPings and the rest of one
// interval, so within 9 s.
const (
	dialTimeout     = 2 * time.Second
	writeTimeout    = 5 * time.Second // how long one write may wait for a server that reads nothing
	pingEvery       = 3 * time.Second
	maxPings        = 2
	reconnectWait   = 100 * time.Millisecond
	reconnectJitter = 400 * time.Millisecond
	flushTimeout    = 2 * time.Second // how long Subscribe waits for the server at most
)

// DefaultPrefix is the first token of all subjects unless the options name
// another.
const DefaultPrefix = "claudemesh"

// Options say where the servers are and who we are. At most one kind of
// credentials is used.
type Options struct {
	URLs   []string     // nats://, tls:// or ws:// each; one server of a cluster tells of the others
	Prefix string       // first tokens of every subject; apart meshes on one server
	NodeID string       // the connection's name, for the server's lists and the log
	Log    *slog.Logger // nil logs nothing

	CredsFile string // a JWT and its key, as nsc writes them
	NKeyFile  string // an nkey's seed
	User      string
	Password  string
	Token     string

	TLS      *tls.Config // nil leaves TLS to the URLs and the files below
	CAFile   string      // who may have signed the server's certificate
	CertFile string      // our certificate, with KeyFile
	KeyFile  string
}

func (o *Options) complete() error {
	if len(o.URLs) == 0 {
		return errors.New("nats bus: no URL is given; name at least one server, such as nats://127.0.0.1:4222")
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if !bus.ValidSubject(o.Prefix) {
		return fmt.Errorf("nats bus: the prefix %q is not a subject; use letters, digits, _ and -, with dots between tokens", o.Prefix)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// client returns what the client library needs, but the functions that it calls.
func (o *Options) client() ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name("claudemesh broker " + o.NodeID),
		nats.NoEcho(),
		nats.Timeout(dialTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(maxPings),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1), // old hints are not worth keeping
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(), // a key that is entered late is found when it is there
	}
	who, err := o.credentials()
	if err != nil {
		return nil, err
	}
	return append(append(opts, who...), o.tls()...), nil
}

func (o *Options) credentials() ([]nats.Option, error) {
	switch {
	case o.CredsFile != "":
		return []nats.Option{nats.UserCredentials(o.CredsFile)}, nil
	case o.NKeyFile != "":
		opt, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats bus: nkey file: %w", err)
		}
		return []nats.Option{opt}, nil
	case o.User != "":
		return []nats.Option{nats.UserInfo(o.User, o.Password)}, nil
	case o.Token != "":
		return []nats.Option{nats.Token(o.Token)}, nil
	}
	return nil, nil
}

func (o *Options) tls() (opts []nats.Option) {
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	if o.CAFile != "" {
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	if o.CertFile != "" {
		opts = append(opts, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return opts
}

// servers is the form in which the library takes several URLs.
func (o *Options) servers() string { return strings.Join(o.URLs, ",") }
