package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// DefaultChannel is the channel of LISTEN and NOTIFY unless the options name
// another.
const DefaultChannel = "claudemesh"

// maxChannel is the length in bytes of the longest channel name.
const maxChannel = 63

// How soon a connection that has died is noticed: after a silence of idleAfter
// the server is asked something, and has callTimeout to answer.
const (
	idleAfter   = 3 * time.Second
	callTimeout = 5 * time.Second
)

// How a lost connection is tried again: at once, then after twice the time of
// the time before.
const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 5 * time.Second
	jitter     = 20 // percent
)

// firstConnect is how long New waits for the server.
const firstConnect = 5 * time.Second

// Options say where the database is and who we are.
type Options struct {
	URL     string       // a direct connection, or a pooler in session mode: LISTEN needs its own session
	Channel string       // nodes with different channels do not hear each other
	NodeID  string       // part of the connections' application_name
	Log     *slog.Logger // nil logs nothing
}

func (o *Options) complete() (*pgx.ConnConfig, error) {
	if o.Channel == "" {
		o.Channel = DefaultChannel
	}
	if len(o.Channel) > maxChannel {
		return nil, fmt.Errorf("postgres bus: the channel %q is longer than %d bytes", o.Channel, maxChannel)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.URL == "" {
		return nil, errors.New("postgres bus: no URL is given; name the database that the brokers share")
	}
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres bus: %w", err) // has no password in it
	}
	config.ConnectTimeout = callTimeout
	config.RuntimeParams["application_name"] = "claudemesh bus " + o.NodeID
	config.RuntimeParams["synchronous_commit"] = "off" // a hint need not survive a crash
	return config, nil
}
