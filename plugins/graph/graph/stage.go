package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"

	"github.com/claudemesh/broker/sdk/plugin"
)

// Limits of requests and answers.
const (
	mostCypher = 16 << 10
	mostParams = 100
	mostAnswer = 512 << 10 // of JSON, beyond which the answer ends
	mostConns  = 8         // to one server
	fetched    = 200       // records that the server sends at a time
)

// Stage runs Cypher. Handlers may be called concurrently.
type Stage struct {
	o       Options
	drivers map[string]neo4j.DriverWithContext // by mesh; set by Start
	gates   map[string]*gate                   // by mesh, of those that are no cluster's; set by Start
}

// New returns a stage that is not started.
func New(o Options) (*Stage, error) { return &Stage{o: o}, nil }

// Start makes the ways to the servers, which need not be there yet.
func (s *Stage) Start(ctx context.Context) error {
	s.drivers, s.gates = make(map[string]neo4j.DriverWithContext), make(map[string]*gate)
	for mesh, at := range s.o.Meshes {
		target, err := s.gated(mesh, at.URL)
		if err != nil {
			return errors.Join(fmt.Errorf("meshes.%s: %w", mesh, err), s.Stop(ctx))
		}
		d, err := neo4j.NewDriverWithContext(target, neo4j.BasicAuth(at.User, os.Getenv(at.PasswordEnv), ""), func(c *config.Config) {
			c.MaxConnectionPoolSize, c.FetchSize = mostConns, fetched
			c.SocketConnectTimeout, c.ConnectionAcquisitionTimeout = time.Duration(s.o.Timeout), time.Duration(s.o.Timeout)
			c.TelemetryDisabled = true
		})
		if err != nil {
			return errors.Join(fmt.Errorf("meshes.%s: %w", mesh, err), s.Stop(ctx))
		}
		s.drivers[mesh] = d
	}
	return nil
}

// gated opens the gate of a mesh, and returns the URL that the driver is given. The
// servers of a cluster name each other to the driver, so it goes to them itself.
func (s *Stage) gated(mesh, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "bolt" && u.Scheme != "bolt+s" {
		return address, err
	}
	g, err := openGate(u, time.Duration(s.o.Timeout))
	if err != nil {
		return "", err
	}
	s.gates[mesh] = g
	return g.url(), nil
}

// Stop closes them.
func (s *Stage) Stop(ctx context.Context) error {
	var errs []error
	for _, d := range s.drivers {
		errs = append(errs, d.Close(ctx))
	}
	for _, g := range s.gates {
		errs = append(errs, g.close())
	}
	return errors.Join(errs...)
}

// Cypher is graph_query and graph_execute.
type Cypher struct {
	Cypher string                     `json:"cypher"`
	Params map[string]json.RawMessage `json:"params"`
}

// Result is graph_result.
type Result struct {
	Records   []map[string]any `json:"records"`
	Truncated bool             `json:"truncated,omitempty"` // there are more
}

// FrameType returns graph_result.
func (Result) FrameType() string { return "graph_result" }

// Query runs Cypher that reads: the server refuses what writes.
func (s *Stage) Query(ctx context.Context, a plugin.Asker, m *Cypher) (Result, error) {
	return s.run(ctx, a, m, neo4j.AccessModeRead)
}

// Execute runs Cypher that may write, in one transaction. It is never tried twice.
func (s *Stage) Execute(ctx context.Context, a plugin.Asker, m *Cypher) (Result, error) {
	return s.run(ctx, a, m, neo4j.AccessModeWrite)
}

func (s *Stage) run(ctx context.Context, a plugin.Asker, m *Cypher, mode neo4j.AccessMode) (result Result, err error) {
	if m.Cypher == "" || len(m.Cypher) > mostCypher || len(m.Params) > mostParams {
		return result, plugin.Refuse("invalid", fmt.Sprintf("cypher: want a text of 1 to %d bytes, with at most %d params", mostCypher, mostParams))
	}
	driver := s.drivers[a.Mesh]
	if driver == nil {
		return result, plugin.Refuse("not_available", "this mesh has no graph: the broker's operator has to name a server for it")
	}
	params, err := parameters(m.Params)
	if err != nil {
		return result, plugin.Refuse("invalid", "params: "+err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.o.Timeout))
	defer cancel()
	session := driver.NewSession(ctx, neo4j.SessionConfig{AccessMode: mode, DatabaseName: s.o.Meshes[a.Mesh].Database, FetchSize: fetched})
	defer func() { _ = session.Close(context.WithoutCancel(ctx)) }() // what it was for has come, or will not
	records, err := session.Run(ctx, m.Cypher, params, neo4j.WithTxTimeout(time.Duration(s.o.Timeout)))
	if err == nil {
		result, err = s.collect(ctx, records)
	}
	if err != nil {
		return Result{}, s.told(ctx, a.Mesh, err)
	}
	if mode == neo4j.AccessModeRead && len(result.Records) == 0 && result.Truncated {
		return Result{}, plugin.Refuse("invalid", fmt.Sprintf("a record of the answer has more than %d bytes of JSON: return less of it", mostAnswer))
	}
	return result, nil
}

// collect takes records as far as they fit into an answer. What is left out has
// been done all the same.
func (s *Stage) collect(ctx context.Context, records neo4j.ResultWithContext) (Result, error) {
	list, size := Result{Records: []map[string]any{}}, 0
	for records.Next(ctx) {
		row := make(map[string]any)
		for i, name := range records.Record().Keys {
			row[name] = plain(records.Record().Values[i], 0)
		}
		b, err := json.Marshal(row)
		if err != nil {
			return list, err
		}
		if size += len(b); len(list.Records) == s.o.Rows || size > mostAnswer {
			list.Truncated = true
			break
		}
		list.Records = append(list.Records, row)
	}
	if err := records.Err(); err != nil {
		return list, err
	}
	_, err := records.Consume(ctx) // commits, and tells what went wrong there
	return list, err
}

// told says what a member may know of a failure: what it wrote wrong. What is the
// operator's business is a failure of the stage.
func (s *Stage) told(ctx context.Context, mesh string, err error) error {
	wrong, ok := errors.AsType[*neo4j.Neo4jError](err)
	switch {
	case ctx.Err() != nil:
		return plugin.Refuse("timeout", "the query took too long: ask for less")
	case !ok && s.gates[mesh] != nil:
		return errors.Join(s.gates[mesh].lost(), err) // the driver has only seen that it ended
	case !ok:
		return err
	case strings.Contains(wrong.Code, "Transaction.TransactionTimedOut"):
		return plugin.Refuse("timeout", "the query took too long: ask for less")
	case strings.HasPrefix(wrong.Code, "Neo.ClientError.Statement."), strings.HasPrefix(wrong.Code, "Neo.ClientError.Schema."),
		strings.HasPrefix(wrong.Code, "Neo.ClientError.Procedure."), wrong.Code == "Neo.ClientError.Security.Forbidden":
		return plugin.Refuse("invalid", wrong.Msg)
	}
	return err
}
