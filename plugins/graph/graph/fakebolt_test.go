package graph

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// asked is one query as the server got it.
type asked struct {
	User, Cypher, Mode, Database string
	Params                       map[string]any
	Timeout                      int
}

// fakeBolt is a server of Bolt 4.4, as much of it as the driver needs for queries
// without a transaction of their own. It speaks no Cypher: answer says what a query
// brings.
type fakeBolt struct {
	url    string
	answer func(asked) (keys []any, rows [][]any, failure map[string]any)

	mu   sync.Mutex
	seen []asked
}

func newFakeBolt(t *testing.T, answer func(asked) ([]any, [][]any, map[string]any)) *fakeBolt {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeBolt{url: "bolt://" + l.Addr().String(), answer: answer}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(c) })
		}
	})
	return f
}

func (f *fakeBolt) last() asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[len(f.seen)-1]
}

func (f *fakeBolt) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// Tags of messages.
const (
	tagHello, tagGoodbye, tagReset, tagRun, tagDiscard, tagPull = 0x01, 0x02, 0x0f, 0x10, 0x2f, 0x3f
	tagSuccess, tagIgnored, tagFailure, tagRecord               = 0x70, 0x7e, 0x7f, 0x71
	tagNode                                                     = 0x4e
)

// serve speaks to one connection until the driver is done with it.
func (f *fakeBolt) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	var versions [20]byte
	if _, err := io.ReadFull(r, versions[:]); err != nil {
		return
	}
	_, _ = c.Write([]byte{0, 0, 4, 4})
	var user string
	var rows [][]any
	failed := false
	for {
		m, err := read(r)
		if err != nil {
			return
		}
		var replies []structure
		switch {
		case m.tag == tagGoodbye:
			return
		case m.tag == tagReset:
			failed, replies = false, []structure{success(nil)}
		case failed:
			replies = []structure{{tagIgnored, nil}}
		case m.tag == tagHello:
			user, _ = m.fields[0].(map[string]any)["principal"].(string)
			replies = []structure{success(map[string]any{"server": "Neo4j/4.4.0", "connection_id": "c"})}
		case m.tag == tagRun:
			var reply structure
			reply, rows = f.run(user, m)
			failed, replies = reply.tag == tagFailure, []structure{reply}
		case m.tag == tagPull:
			replies, rows = pull(m, rows)
		default:
			rows, replies = nil, []structure{success(map[string]any{"has_more": false})}
		}
		for _, reply := range replies {
			if write(c, reply) != nil {
				return
			}
		}
	}
}

func (f *fakeBolt) run(user string, m structure) (structure, [][]any) {
	extra := m.fields[2].(map[string]any)
	q := asked{User: user, Cypher: m.fields[0].(string), Params: m.fields[1].(map[string]any), Mode: "w"}
	if mode, ok := extra["mode"].(string); ok {
		q.Mode = mode
	}
	q.Database, _ = extra["db"].(string)
	q.Timeout, _ = extra["tx_timeout"].(int)
	f.mu.Lock()
	f.seen = append(f.seen, q)
	f.mu.Unlock()
	keys, rows, failure := f.answer(q)
	if failure != nil {
		return structure{tagFailure, []any{failure}}, nil
	}
	return success(map[string]any{"fields": keys, "t_first": 1}), rows
}

// pull sends as many rows as the driver asks for.
func pull(m structure, rows [][]any) (replies []structure, rest [][]any) {
	n, _ := m.fields[0].(map[string]any)["n"].(int)
	if n < 0 || n > len(rows) {
		n = len(rows)
	}
	for _, row := range rows[:n] {
		replies = append(replies, structure{tagRecord, []any{row}})
	}
	more := n < len(rows)
	meta := map[string]any{"has_more": more}
	if !more {
		meta["t_last"], meta["type"] = 1, "r"
	}
	return append(replies, success(meta)), rows[n:]
}

func success(meta map[string]any) structure {
	if meta == nil {
		meta = map[string]any{}
	}
	return structure{tagSuccess, []any{meta}}
}

// read reads one message: chunks with their length, up to an empty one.
func read(r *bufio.Reader) (structure, error) {
	var b []byte
	for {
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return structure{}, err
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n == 0 && len(b) > 0 {
			break
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return structure{}, err
		}
		b = append(b, chunk...)
	}
	v, _ := unpack(b)
	m, ok := v.(structure)
	if !ok {
		return m, errors.New("no message")
	}
	return m, nil
}

// endless is a value whose text goes on until nobody reads it any more.
type endless struct{}

func write(c net.Conn, m structure) error {
	if m.tag == tagRecord && m.fields[0].([]any)[0] == (endless{}) {
		return writeEndless(c)
	}
	b := pack(nil, m)
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for len(b) > 0 {
		n := min(len(b), 0xffff)
		chunk := append(binary.BigEndian.AppendUint16(nil, uint16(n)), b[:n]...) //nolint:gosec // bounded above
		if _, err := c.Write(chunk); err != nil {
			return err
		}
		b = b[n:]
	}
	_, err := c.Write([]byte{0, 0})
	return err
}

// writeEndless writes the beginning of a record, and then chunks of its text.
func writeEndless(c net.Conn) error {
	b := append([]byte{0xb1, tagRecord, 0x91, 0xd2, 0x7f, 0xff, 0xff, 0xff}, make([]byte, 8<<10)...)
	for {
		chunk := append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) //nolint:gosec // short
		if _, err := c.Write(chunk); err != nil {
			return err
		}
	}
}
