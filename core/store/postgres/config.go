package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Schema is where all of the broker's tables are.
const Schema = "broker"

// idleInTransaction ends a connection that stopped in the middle of a
// transaction, with the locks that it holds. None of ours stops there, unless
// its process is frozen: then the other processes, which wait at most as long as
// the lock timeout says, must not wait for it.
const idleInTransaction = 2 * time.Second

// unwanted are the planner's ways that no query of ours should be answered in.
// Each finds its rows by an index, and a connection keeps the plans that it
// once made: one that was made while the queue was empty must not read the
// whole of a table that has grown since.
var unwanted = []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"}

// config reads the URL. What the operator says there goes before what we say,
// but for the search path: the tables are in our schema and nowhere else.
func (o Options) config() (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the database's URL cannot be read: %w", err) // pgx leaves the password out
	}
	if !strings.Contains(o.URL, "pool_max_conns") {
		c.MaxConns = o.MaxConns
	}
	if !strings.Contains(o.URL, "connect_timeout") {
		c.ConnConfig.ConnectTimeout = o.ConnectTimeout
	}
	// A server that was away has left dead connections in the pool. Who finds
	// one of those waits no longer than for a new one.
	c.PingTimeout = o.ConnectTimeout

	params := c.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    "claudemesh-broker",
		"statement_timeout":                   millis(o.StatementTimeout),
		"lock_timeout":                        millis(o.LockTimeout),
		"idle_in_transaction_session_timeout": millis(idleInTransaction),

		// Seconds and tries until the server knows that a machine vanished, and
		// ends the locks that it held. By default it takes hours.
		"tcp_keepalives_idle":     "10",
		"tcp_keepalives_interval": "5",
		"tcp_keepalives_count":    "3",
	} {
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
	for _, name := range unwanted {
		if _, given := params[name]; !given {
			params[name] = "off"
		}
	}
	params["search_path"] = Schema
	return c, nil
}

// millis is how the server reads a duration.
func millis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }
