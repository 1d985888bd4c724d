package pg

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/claudemesh/broker/core/meshsql"
)

// mostMessage is how large one message of the server may be, a row above all. The
// driver takes memory for a whole message before it reads it, and a row may have a
// gigabyte.
func mostMessage(l meshsql.Limits) uint32 {
	return uint32(l.Bytes + 64<<10) //nolint:gosec // some megabytes
}

// framed reads what a server sends, and fails before a message that is too large.
type framed struct {
	r    io.Reader
	most uint32
	head [5]byte // type and length of the message that begins
	have int     // bytes of head
	left uint32  // of the message's body
}

// messageTooLarge is the error of a message that is not read.
type messageTooLarge struct{ bytes uint32 }

func (e *messageTooLarge) Error() string { return fmt.Sprintf("a message of %d bytes", e.bytes) }

// Read implements [io.Reader]. It follows the messages in what it hands on: the
// header of one that is too large is not handed on whole.
func (f *framed) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	for at := 0; at < n; {
		if f.left > 0 {
			skip := min(uint32(n-at), f.left) //nolint:gosec // a buffer's length
			at, f.left = at+int(skip), f.left-skip
			continue
		}
		f.head[f.have] = p[at]
		f.have, at = f.have+1, at+1
		if f.have < len(f.head) {
			continue
		}
		f.have = 0
		size := binary.BigEndian.Uint32(f.head[1:])
		if size > f.most {
			return at - 1, &messageTooLarge{size}
		}
		f.left = max(size, 4) - 4
	}
	return n, err
}
