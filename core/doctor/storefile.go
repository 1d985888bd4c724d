package doctor

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"

	"github.com/claudemesh/broker/core/control"
)

// storeFile is the embedded store, open for a look that changes nothing.
//
// While others have it open, it is read as they do, with SQLite's locks and the
// index that all share. That index is a file, which SQLite makes where there is
// none, and which nobody can take away without harm to those who came meanwhile.
// So, where there is none, the store is read alone: without locks, and with
// brokers kept from starting. Commands are not: what they wrote shows in the
// files' sizes and times.
type storeFile struct {
	db    *sql.DB
	alone bool

	path    string
	before  [3]footprint // of the files, as they were
	release func()       // lets brokers start
}

// footprint is what shows that a file was written.
type footprint struct {
	there bool
	size  int64 // bytes
	at    time.Time
}

func footprintOf(path string) (f footprint) {
	if info, err := os.Stat(path); err == nil {
		f = footprint{true, info.Size(), info.ModTime()}
	}
	return f
}

// footprintsOf are those of a store, its log, and the index of that.
func footprintsOf(path string) [3]footprint {
	return [3]footprint{footprintOf(path), footprintOf(path + "-wal"), footprintOf(path + "-shm")}
}

// openStore opens the store at path. The caller closes it.
func openStore(path string) (*storeFile, error) {
	release, err := control.Hold(filepath.Dir(path))
	if err != nil {
		release = func() {}
	}
	s := &storeFile{path: path, before: footprintsOf(path), release: release}
	log, index := s.before[1], s.before[2]
	s.alone = !errors.Is(err, control.ErrRunning) && !index.there
	query := url.Values{"mode": {"ro"}, "_busy_timeout": {"2000"}, "_query_only": {"on"}}
	switch {
	case !s.alone:
		release()
		s.release = func() {}
	case log.size > 0 && withoutLocks != "":
		query.Set("vfs", withoutLocks)
		query.Set("_pragma", "locking_mode(exclusive)") // the index is in memory then
	case log.size == 0:
		query.Set("immutable", "1")
	}
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		s.release()
		return nil, err
	}
	s.db = sql.OpenDB(keepsLog{connector})
	s.db.SetMaxOpenConns(1)
	return s, nil
}

// keepsLog are connections that leave the log when they close: SQLite removes
// one in which it finds nothing.
type keepsLog struct{ driver.Connector }

// Connect implements [driver.Connector].
func (k keepsLog) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(sqlite.FileControl)
	if !ok {
		err = errors.New("this SQLite cannot keep a log")
	} else {
		_, err = c.FileControlPersistWAL("main", 1)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// changed reports whether somebody wrote the store while it was read alone.
func (s *storeFile) changed() bool { return s.alone && footprintsOf(s.path) != s.before }

func (s *storeFile) close() {
	_ = s.db.Close() // it was only read
	s.release()
}
