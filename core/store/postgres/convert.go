package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// The types below read a column into a field: Scan((*text)(&m.ReplyTo)). The
// functions beside them give the argument that writes it.

// text is a string whose empty value is NULL.
type text string

// ScanText implements [pgtype.TextScanner].
func (t *text) ScanText(v pgtype.Text) error {
	*t = text(v.String)
	return nil
}

func textArg(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// trace is the trace of a message.
type trace store.Message

// ScanText implements [pgtype.TextScanner].
func (t *trace) ScanText(v pgtype.Text) error {
	(*store.Message)(t).SetStoredTrace(v.String)
	return nil
}

// extra is the Extra of a message.
type extra store.Message

// ScanText implements [pgtype.TextScanner].
func (e *extra) ScanText(v pgtype.Text) error {
	return (*store.Message)(e).SetStoredExtra(v.String)
}

// texts is the argument for a list that is never NULL.
func texts(list []string) []string { return append([]string{}, list...) }

// opaque is a string of any bytes, whose empty value may be NULL.
type opaque string

// ScanBytes implements [pgtype.BytesScanner].
func (o *opaque) ScanBytes(v []byte) error {
	*o = opaque(v)
	return nil
}

// key is an [sdk.Key], whose zero value is NULL or no bytes.
type key sdk.Key

// ScanBytes implements [pgtype.BytesScanner].
func (k *key) ScanBytes(v []byte) error {
	*k = key{}
	if len(v) != 0 && len(v) != len(k) {
		return fmt.Errorf("a key is stored in %d bytes", len(v))
	}
	copy(k[:], v)
	return nil
}

func keyArg(k sdk.Key) any {
	if k.IsZero() {
		return nil
	}
	return k[:]
}

func keyArgs(keys []sdk.Key) [][]byte {
	list := make([][]byte, len(keys))
	for i := range keys {
		list[i] = keys[i][:]
	}
	return list
}

// hash is a SHA-256.
type hash = key

// stamp is a time in UTC, whose zero value is NULL.
type stamp time.Time

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (s *stamp) ScanTimestamptz(v pgtype.Timestamptz) error {
	*s = stamp{}
	if v.Valid {
		*s = stamp(v.Time.UTC())
	}
	return nil
}

// whole cuts a time to the milliseconds that are stored.
func whole(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }

func timeArg(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return whole(t)
}

// inJSON is the pointer to a field that is stored as JSON; it reads and writes
// the column. Empty lists and maps come back nil.
type inJSON struct{ field any }

// ScanText implements [pgtype.TextScanner].
func (j inJSON) ScanText(v pgtype.Text) error {
	if v.String == "[]" || v.String == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(v.String), j.field)
}

// TextValue implements [pgtype.TextValuer].
func (j inJSON) TextValue() (pgtype.Text, error) {
	b, err := json.Marshal(j.field)
	return pgtype.Text{String: string(b), Valid: true}, err
}

// opaqueText is a column of text as bytes, nil for an empty one.
type opaqueText []byte

// ScanText implements [pgtype.TextScanner].
func (o *opaqueText) ScanText(v pgtype.Text) error {
	*o = nil
	if v.String != "" {
		*o = []byte(v.String)
	}
	return nil
}
