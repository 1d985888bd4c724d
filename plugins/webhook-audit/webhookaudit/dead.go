package webhookaudit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Names of the dead-letter file: batches that the endpoint refused for good, a
// line of JSON each. When the first is full it becomes the second, and the
// second before it goes.
const (
	deadFile     = "dead.jsonl"
	deadFileOld  = "dead.old.jsonl"
	longestDead  = 16 << 20
	deadFilePerm = 0o600
)

// deadLetter is a line of the file.
type deadLetter struct {
	Time   time.Time       `json:"time"`
	ID     string          `json:"id"`
	Status int             `json:"status"`
	Reason string          `json:"reason"`
	Batch  json.RawMessage `json:"batch"`
}

// bury writes a refused batch to the dead-letter file of a directory.
func bury(dir string, b *batch, a answer) error {
	line, err := json.Marshal(deadLetter{
		Time: time.Now().UTC(), ID: b.id, Status: a.status, Reason: a.reason, Batch: b.body,
	})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, deadFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Size()+int64(len(line)) > longestDead:
		if err := os.Rename(path, filepath.Join(dir, deadFileOld)); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, deadFilePerm)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
