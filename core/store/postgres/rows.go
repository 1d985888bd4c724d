package postgres

import (
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claudemesh/broker/sdk"
)

// column is the type of the elements of a column.
type column uint32

// The types that statements of a batch take.
const (
	int2Column  column = pgtype.Int2OID
	int8Column  column = pgtype.Int8OID
	boolColumn  column = pgtype.BoolOID
	textColumn  column = pgtype.TextOID
	bytesColumn column = pgtype.ByteaOID
	timeColumn  column = pgtype.TimestamptzOID
)

// statement is one statement that handles any number of rows: each of its
// parameters is an array, one column of them all.
type statement struct {
	name    string
	query   string
	columns []column
}

// rows gathers what a statement handles, in the binary form of PostgreSQL's
// arrays. Fields are given in the order of the columns, row after row.
type rows struct {
	columns [][]byte
	next    int // the column of the next field
}

// arrayHeader is the length of what comes before the elements: the number of
// dimensions, whether there are NULLs, the type, the length, the first index.
const arrayHeader = 20

// begin forgets all rows and sets the columns.
func (r *rows) begin(columns []column) {
	for len(r.columns) < len(columns) {
		r.columns = append(r.columns, nil)
	}
	r.columns, r.next = r.columns[:len(columns)], 0
	for i, c := range columns {
		h := append(r.columns[i][:0], make([]byte, arrayHeader)...)
		binary.BigEndian.PutUint32(h, 1)
		binary.BigEndian.PutUint32(h[4:], 1)
		binary.BigEndian.PutUint32(h[8:], uint32(c))
		binary.BigEndian.PutUint32(h[16:], 1)
		r.columns[i] = h
	}
}

// values returns the arrays. They are good until begin.
func (r *rows) values() [][]byte { return r.columns }

// field begins a field of n bytes and returns where they are put.
func (r *rows) field(n int) *[]byte {
	c := &r.columns[r.next]
	if r.next++; r.next == len(r.columns) {
		r.next = 0
	}
	binary.BigEndian.PutUint32((*c)[12:], binary.BigEndian.Uint32((*c)[12:])+1)
	*c = binary.BigEndian.AppendUint32(*c, uint32(int32(n)))
	return c
}

func (r *rows) null() { r.field(-1) }

func (r *rows) int2(v int16) {
	c := r.field(2)
	*c = binary.BigEndian.AppendUint16(*c, uint16(v))
}

func (r *rows) int8(v int64) {
	c := r.field(8)
	*c = binary.BigEndian.AppendUint64(*c, uint64(v))
}

func (r *rows) bool(v bool) {
	c := r.field(1)
	var b byte
	if v {
		b = 1
	}
	*c = append(*c, b)
}

// text writes a string, also where the column has bytes.
func (r *rows) text(v string) {
	c := r.field(len(v))
	*c = append(*c, v...)
}

func (r *rows) bytes(v []byte) {
	c := r.field(len(v))
	*c = append(*c, v...)
}

// optional writes NULL for nothing.
func (r *rows) optional(v string) {
	if v == "" {
		r.null()
		return
	}
	r.text(v)
}

func (r *rows) key(k *sdk.Key) { r.bytes(k[:]) }

// optionalKey writes NULL for the zero key.
func (r *rows) optionalKey(k *sdk.Key) {
	if k.IsZero() {
		r.null()
		return
	}
	r.key(k)
}

// epoch is PostgreSQL's, in milliseconds since 1970.
const epoch = 946_684_800_000

// time cuts to milliseconds.
func (r *rows) time(t time.Time) { r.int8((t.UnixMilli() - epoch) * 1000) }

// optionalTime writes NULL for the zero time.
func (r *rows) optionalTime(t time.Time) {
	if t.IsZero() {
		r.null()
		return
	}
	r.time(t)
}

// shrink gives up buffers that an unusual batch has made large.
func (r *rows) shrink() {
	for i, c := range r.columns[:cap(r.columns)] {
		if cap(c) > maxBuffer {
			r.columns[:cap(r.columns)][i] = nil
		}
	}
}

// maxBuffer is how much of a column's memory is kept for the next batch.
const maxBuffer = 1 << 20
