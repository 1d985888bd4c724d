package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
)

// Kinds of servers.
const (
	bareRelay  = "relay"
	fullBroker = "broker"
)

// Generations of peers, which log in and confirm in different ways.
const (
	memberPeers = "member" // hello, no session key, confirmed by pong
	oldPeers    = "old"    // hello with a session key and its proof, confirmed by pong
	newPeers    = "new"    // session_hello, client_ack, client_message_id
)

// Who sends to whom where several replicas share a mesh.
const (
	samePairs  = "same"  // sender and recipient are connected to one replica
	crossPairs = "cross" // to two
)

// task is what the generator has to do.
type task struct {
	Scenario string           `json:"scenario"`
	Server   string           `json:"server"`
	URLs     []string         `json:"urls"` // of the servers; peers take turns with them
	Peers    string           `json:"peers"`
	Pairs    string           `json:"pairs"`  // who sends to whom, where there are several servers
	Meshes   []*admin.NewMesh `json:"meshes"` // none for a relay

	Processes processes `json:"processes"`

	load
	Collects bool `json:"collects"` // the server collects garbage on SIGUSR1
}

// load says how much of it.
type load struct {
	Count   int     `json:"count"`   // peers; dialers in connect, connections in idle
	Window  int     `json:"window"`  // messages under way for each peer
	Body    int     `json:"body"`    // bytes
	Rate    int     `json:"rate"`    // messages a second, of all peers together
	Sizes   []int   `json:"sizes"`   // idle connections beside the active ones
	Seconds float64 `json:"seconds"` // to measure
}

// newLoadCommand returns the command of the generator.
func newLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "Does a task from standard input, prints its results as JSON", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var t task
			if err := json.NewDecoder(c.InOrStdin()).Decode(&t); err != nil {
				return fmt.Errorf("task: %w", err)
			}
			results, err := t.do(c.Context())
			if err != nil {
				return fmt.Errorf("%s on %s: %w", t.Scenario, t.Server, err)
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(results)
		},
	}
}

func (t *task) do(ctx context.Context) ([]*result, error) {
	for _, s := range scenarios() {
		if s.name == t.Scenario {
			runtime.GOMAXPROCS(s.threads)
			return s.do(ctx, t)
		}
	}
	return nil, errors.New("there is no such scenario")
}

// fleet makes the peers of a task, not connected yet.
func (t *task) fleet(count int) (*fleet, error) {
	f := &fleet{
		processes: t.Processes, pairs: t.Pairs, dialect: relayDialect{}, bodies: newBodies(t.Body), copies: 1, began: time.Now(),
		broken: make(chan error, 1),
	}
	for _, text := range t.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		f.addrs = append(f.addrs, u.Host)
	}
	if t.Server == fullBroker {
		f.dialect, f.sessionHello = brokerDialect{newest: t.Peers == newPeers}, t.Peers == newPeers
	}
	f.latencies.Store(new(latencies))
	f.pump = newPump(f.refilling.Load)
	for n := range count {
		p, err := t.peer(n)
		if err != nil {
			return nil, err
		}
		p.fleet = f
		f.peers = append(f.peers, p)
	}
	return f, nil
}

// peer makes one peer: of a relay by its number, of the broker as a member of a
// mesh. Peers take turns with the meshes.
func (t *task) peer(n int) (*peer, error) {
	if t.Server != fullBroker {
		sum := sha256.Sum256(fmt.Appendf(nil, "peer %d", n))
		return &peer{n: n, key: hex.EncodeToString(sum[:])}, nil
	}
	mesh := t.Meshes[n%len(t.Meshes)]
	member := mesh.Members[n/len(t.Meshes)]
	secret, err := identity.ParseSecret(member.SecretKey)
	if err != nil {
		return nil, err
	}
	id := dial.Identity{
		MeshID: mesh.ID, MemberID: member.ID, Key: secret,
		DisplayName: member.DisplayName, SessionID: identity.NewID(), Pid: int64(n + 1), Cwd: "/",
	}
	if t.Peers != memberPeers {
		_, id.SessionKey = identity.NewKeypair()
	}
	return &peer{n: n, key: id.RoutingKey().String(), id: id}, nil
}
