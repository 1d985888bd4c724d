package pg

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claudemesh/broker/core/meshsql"
)

// values turns a row, in PostgreSQL's text form, into JSON.
func values(fields []pgconn.FieldDescription, row [][]byte) []meshsql.Value {
	list := make([]meshsql.Value, len(row))
	for i, v := range row {
		list[i] = value(fields[i].DataTypeOID, v)
	}
	return list
}

// value goes by the type. What JSON has no form for, such as numeric, whose digits
// a client would round, and every type that a mesh has made itself, is text as
// PostgreSQL prints it.
func value(oid uint32, v []byte) meshsql.Value {
	if v == nil {
		return meshsql.Null()
	}
	text := string(v)
	switch oid {
	case pgtype.BoolOID:
		return meshsql.Bool(text == "t")
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return meshsql.Int(n)
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return meshsql.Float(f)
		}
	case pgtype.ByteaOID:
		if b, err := hex.DecodeString(strings.TrimPrefix(text, `\x`)); err == nil {
			return meshsql.Blob(b)
		}
	case pgtype.JSONOID, pgtype.JSONBOID:
		return meshsql.JSON(text)
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return meshsql.Text(iso(text))
	}
	return meshsql.Text(text)
}

// iso turns 2026-01-02 03:04:05.6+00 into 2026-01-02T03:04:05.6Z. A timestamp
// without a zone has none afterwards; others, such as infinity, stay as they are.
func iso(text string) string {
	if len(text) < len("2026-01-02 03:04:05") || text[10] != ' ' {
		return text
	}
	text = text[:10] + "T" + text[11:]
	if utc, ok := strings.CutSuffix(text, "+00"); ok {
		return utc + "Z"
	}
	return text
}
