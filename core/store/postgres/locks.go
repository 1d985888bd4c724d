package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	tryLock = `SELECT pg_try_advisory_lock($1)`

	// Who holds an advisory lock of this database; its key is stored in halves.
	lockHolder = `SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'this machine')
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1::bigint & 4294967295`
)

// lockKey returns the key of PostgreSQL's advisory lock for a name of ours: the
// first 8 bytes, big-endian, of the SHA-256 of "lock:" and the name, with the
// top bit cleared.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("lock:" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]) & math.MaxInt64)
}

// locks are the connections that hold a lock. They are none of the pool's.
type locks struct {
	mu    sync.Mutex
	conns map[*pgx.Conn]struct{}
}

func (l *locks) add(c *pgx.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = make(map[*pgx.Conn]struct{})
	}
	l.conns[c] = struct{}{}
}

// release closes a connection that is still in the list.
func (l *locks) release(c *pgx.Conn) {
	l.mu.Lock()
	_, held := l.conns[c]
	delete(l.conns, c)
	l.mu.Unlock()
	if held {
		hangUp(c)
	}
}

// end closes all.
func (l *locks) end() {
	l.mu.Lock()
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		hangUp(c)
	}
}

// hangUp closes a connection. The server then ends its locks, also when our
// word of it did not arrive.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Close(ctx) //nolint:errcheck // it is gone either way
}

// TryLock implements [store.Shared]. The lock is an advisory lock of the
// database, see lockKey, held by a connection of its own until release, which
// may be called more than once. That the connection broke is not noticed here.
func (s *Store) TryLock(ctx context.Context, name string) (release func(), ok bool, err error) {
	defer wrap(&err, "try lock "+name)
	ctx, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	if ok, err = value[bool](conn.QueryRow(ctx, tryLock, lockKey(name))); err != nil || !ok {
		conn.Release()
		return nil, false, err
	}
	holder := conn.Hijack()
	s.locks.add(holder)
	return func() { s.locks.release(holder) }, true, nil
}

// lockHolder says which connection holds a lock.
func (s *Store) lockHolder(ctx context.Context, name string) (string, error) {
	return one(ctx, s, func(row scanner) (string, error) {
		var (
			pid       int64
			app, host string
		)
		err := row.Scan(&pid, &app, &host)
		return fmt.Sprintf("connection %d (%s on %s)", pid, app, host), err
	}, lockHolder, lockKey(name))
}
