package main

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

// relay is the yardstick: it hands each frame to the peer that it names, and
// does nothing else. It asks nobody who they are, keeps nothing, confirms
// nothing, and writes each frame with a call of its own, as one would who
// follows the WebSocket library's examples.
type relay struct {
	codec codec

	mu    sync.RWMutex
	peers map[string]*websocket.Conn
}

// codec is a JSON library.
type codec struct {
	unmarshal func([]byte, any) error
	marshal   func(any) ([]byte, error)
}

// codecOf returns the library with a name: the broker's own, or the standard
// one, which takes a third more of the relay's time.
func codecOf(name string) (codec, error) {
	switch name {
	case "own":
		return codec{
			func(b []byte, v any) error { return json.Unmarshal(b, v) },
			func(v any) ([]byte, error) { return json.Marshal(v) },
		}, nil
	case "std":
		return codec{stdjson.Unmarshal, stdjson.Marshal}, nil
	}
	return codec{}, fmt.Errorf("--codec %s: want own or std", name)
}

// relayed is the one frame of a relay.
type relayed struct {
	To   string `json:"to"`
	From string `json:"from"`
	Body string `json:"body"`
}

func newRelayCommand() *cobra.Command {
	var listen, library string
	c := &cobra.Command{
		Use:   "relay",
		Short: "Serves a bare relay in memory: no login, no acknowledgement, no store",
		Long: "Serves a bare relay: a peer connects to /ws?key=KEY and sends {\"to\",\"from\",\"body\"},\n" +
			"which is decoded, encoded again and written to the peer with that key.",
		Example: "  bench relay --listen 127.0.0.1:7901",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r := &relay{peers: map[string]*websocket.Conn{}}
			var err error
			if r.codec, err = codecOf(library); err != nil {
				return err
			}
			defer collectOnSignal()()
			return r.run(c.Context(), listen, func(addr string) { fmt.Fprintln(c.OutOrStdout(), readyLine(addr)) })
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address to listen on; port 0 picks a free one")
	c.Flags().StringVar(&library, "codec", "own", "JSON library: own is the broker's, std the standard one")
	return c
}

// run serves until ctx ends. It calls ready when it accepts connections.
func (r *relay) run(ctx context.Context, listen string, ready func(addr string)) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", r.serve)
	server := &http.Server{Handler: mux} //nolint:gosec // no timeouts: it serves the generator only
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	ready(listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// serve reads one peer until it goes.
func (r *relay) serve(w http.ResponseWriter, req *http.Request) {
	key := req.URL.Query().Get("key")
	conn, err := websocket.Accept(w, req, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // the library has answered
	}
	defer conn.CloseNow() //nolint:errcheck // closed by the peer already
	r.mu.Lock()
	r.peers[key] = conn
	r.mu.Unlock()
	defer r.forget(key, conn)
	for {
		_, frame, err := conn.Read(context.Background())
		if err != nil || r.pass(key, frame) != nil {
			return
		}
	}
}

// pass writes a frame to the peer that it is for. Frames for others than those
// who are here are dropped.
func (r *relay) pass(from string, frame []byte) error {
	var m relayed
	if err := r.codec.unmarshal(frame, &m); err != nil {
		return err
	}
	all := r.behind(from, m.To)
	if len(all) == 0 {
		return nil
	}
	m.From = from
	b, err := r.codec.marshal(&m)
	if err != nil {
		return err
	}
	for _, to := range all {
		_ = to.Write(context.Background(), websocket.MessageText, b) // that peer's own reader sees that it is gone
	}
	return nil
}

// behind returns who is meant by a target: all others by the topic, else the peer with
// the key.
func (r *relay) behind(from, target string) (list []*websocket.Conn) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if target != topicTarget {
		if to := r.peers[target]; to != nil {
			list = append(list, to)
		}
		return list
	}
	for key, to := range r.peers {
		if key != from {
			list = append(list, to)
		}
	}
	return list
}

func (r *relay) forget(key string, conn *websocket.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers[key] == conn {
		delete(r.peers, key)
	}
}
