package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// The types below read a column into a field: Scan((*text)(&m.ReplyTo)). The
// functions beside them give the argument that writes it.

// text is a string whose empty value is NULL.
type text string

// Scan implements [sql.Scanner].
func (t *text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	default:
		return fmt.Errorf("a text is stored as %T", v)
	}
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

// Scan implements [sql.Scanner].
func (t *trace) Scan(v any) error {
	var column text
	err := column.Scan(v)
	(*store.Message)(t).SetStoredTrace(string(column))
	return err
}

// extra is the Extra of a message.
type extra store.Message

// Scan implements [sql.Scanner].
func (e *extra) Scan(v any) error {
	var column text
	if err := column.Scan(v); err != nil {
		return err
	}
	return (*store.Message)(e).SetStoredExtra(string(column))
}

// key is an [sdk.Key] in hex, whose zero value is NULL or ”.
type key sdk.Key

// Scan implements [sql.Scanner].
func (k *key) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*k = key{}
		return nil
	case string:
		return (*sdk.Key)(k).UnmarshalText([]byte(v))
	}
	return fmt.Errorf("a key is stored as %T", v)
}

func keyArg(k sdk.Key) any {
	if k.IsZero() {
		return nil
	}
	return k.String()
}

// hash is a SHA-256 in hex.
type hash = key

func hashArg(h [32]byte) string { return sdk.Key(h).String() }

// millis is a time in milliseconds since 1970, whose zero value is NULL.
type millis time.Time

// Scan implements [sql.Scanner].
func (m *millis) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m = millis{}
	case int64:
		*m = millis(time.UnixMilli(v).UTC())
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

func timeArg(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// inJSON is the pointer to a field that is stored as JSON; it reads and writes
// the column. Empty lists and maps come back nil.
type inJSON struct{ field any }

// Scan implements [sql.Scanner].
func (j inJSON) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("JSON is stored as %T", v)
	}
	if s == "[]" || s == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(s), j.field)
}

// Value implements [driver.Valuer].
func (j inJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(j.field)
	return string(b), err
}

// texts is the argument for a list of texts that a query reads by json_each: a
// list, where there is none too.
func texts(list []string) any { return inJSON{append([]string{}, list...)} }
