package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pipeline sends statements on one connection without waiting for the answer of
// each. Parameters and results are in binary form. It is for one goroutine.
type pipeline struct {
	conn     *pgx.Conn
	wire     *pgconn.Pipeline
	prepared map[string]*pgconn.StatementDescription // nil where nothing may be prepared
	synced   bool                                    // all that will be sent was
	tag      pgconn.CommandTag                       // of the last answer that was read
}

// binaryForm says that all parameters and results are.
var binaryForm = []int16{pgx.BinaryFormatCode}

// preparedKey is where a connection keeps what it has prepared.
const preparedKey = "claudemesh/batch"

// newPipeline prepares the statements when this is the connection's first.
func newPipeline(ctx context.Context, conn *pgx.Conn, statements []*statement) (*pipeline, error) {
	p := &pipeline{conn: conn}
	if conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		custom := conn.PgConn().CustomData()
		p.prepared, _ = custom[preparedKey].(map[string]*pgconn.StatementDescription)
		if p.prepared == nil {
			p.prepared = make(map[string]*pgconn.StatementDescription, len(statements))
			if err := p.prepare(ctx, statements); err != nil {
				return nil, err
			}
			custom[preparedKey] = p.prepared
		}
	}
	p.wire = conn.PgConn().StartPipeline(ctx)
	return p, nil
}

// prepare takes one round trip.
func (p *pipeline) prepare(ctx context.Context, statements []*statement) error {
	wire := p.conn.PgConn().StartPipeline(ctx)
	for _, st := range statements {
		wire.SendPrepare(st.name, st.query, nil)
	}
	err := wire.Sync()
	for i := 0; err == nil && i < len(statements); i++ {
		var r any
		if r, err = wire.GetResults(); err != nil {
			break
		}
		description, ok := r.(*pgconn.StatementDescription)
		if !ok {
			err = fmt.Errorf("prepare %s: got %T", statements[i].name, r)
			break
		}
		description.Name = statements[i].name
		p.prepared[statements[i].name] = description
	}
	return errors.Join(err, wire.Close())
}

// send queues a statement. The values are copied.
func (p *pipeline) send(st *statement, values [][]byte) {
	if p.prepared == nil {
		p.wire.SendQueryParams(st.query, values, nil, binaryForm, binaryForm)
		return
	}
	description := p.prepared[st.name]
	results := binaryForm
	if len(description.Fields) == 0 {
		results = nil
	}
	p.wire.SendQueryStatement(description, values, binaryForm, results)
}

// pause puts what is queued on the wire, and tells the server that we may take a
// while.
func (p *pipeline) pause() error { return p.wire.Sync() }

// paused reads the server's word that it waits for us, behind all answers.
func (p *pipeline) paused() error {
	r, err := p.wire.GetResults()
	if _, ok := r.(*pgconn.PipelineSync); err == nil && !ok {
		err = fmt.Errorf("got %T where the end of the answers was due", r)
	}
	return err
}

// sync puts what is queued on the wire, at the end of the pipeline.
func (p *pipeline) sync() error {
	p.synced = true
	return p.wire.Sync()
}

// result reads the answer to the next statement; each, which may be nil, is
// called for its rows.
func (p *pipeline) result(each reading) error {
	r, err := p.wire.GetResults()
	if err != nil {
		return err
	}
	reader, ok := r.(*pgconn.ResultReader)
	if !ok {
		return fmt.Errorf("got %T where a result was due", r)
	}
	for reader.NextRow() {
		if each == nil {
			continue
		}
		if e := each(reader.Values()); e != nil {
			err = errors.Join(err, e)
		}
	}
	var closed error
	p.tag, closed = reader.Close()
	return errors.Join(closed, err)
}

// end finishes the pipeline, whatever is left in it, and leaves the connection
// without a transaction, or broken.
func (p *pipeline) end(ctx context.Context) error {
	var err error
	if !p.synced && !p.conn.IsClosed() { // pgx itself says goodbye on a broken one, at this moment
		err = p.sync()
	}
	err = errors.Join(err, p.wire.Close()) // reads what is left
	if c := p.conn.PgConn(); !c.IsClosed() && c.TxStatus() != 'I' {
		if _, e := p.conn.Exec(ctx, "ROLLBACK"); e != nil {
			c.Close(ctx) //nolint:errcheck // it is given up
		}
	}
	return err
}
