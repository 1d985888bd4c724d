package postgres

import (
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/claudemesh/broker/core/bus/internal/outbox"
)

// A datagram is what one NOTIFY carries: several messages of one node. Its
// text is base64, since a payload of NOTIFY is text in the database's encoding.
//
//	8 B sender, uvarint number, then for each message
//	uvarint length of subject, subject, uvarint 0, 8 B id of a stored payload
//	uvarint length of subject, subject, uvarint 1 + length of data, data
//
// Every datagram has a number of its own, so no two are alike, which NOTIFY
// would fold into one.
const (
	maxText     = 7900 // NOTIFY takes less than 8000 bytes
	maxDatagram = maxText / 4 * 3
	headRoom    = 8 + binary.MaxVarintLen64
	messageRoom = 2 * binary.MaxVarintLen32
	maxInline   = maxDatagram - headRoom - messageRoom - 255 // of data; larger ones are stored
)

var errDatagram = errors.New("not a datagram of this version")

// item is a message in a datagram.
type item struct {
	subject string
	data    []byte
	stored  uint64 // id of the payload, when it is not here
}

// most is how many bytes an item takes at most.
func (it *item) most() int {
	n := messageRoom + len(it.subject) + len(it.data)
	if it.stored != 0 {
		n += 8
	}
	return n
}

func appendItem(to []byte, it item) []byte {
	to = binary.AppendUvarint(to, uint64(len(it.subject)))
	to = append(to, it.subject...)
	if it.stored != 0 {
		return binary.BigEndian.AppendUint64(append(to, 0), it.stored)
	}
	to = binary.AppendUvarint(to, 1+uint64(len(it.data)))
	return append(to, it.data...)
}

// pack is messages on their way to the database.
type pack struct {
	texts  []string // datagrams
	ids    []int64  // of the stored payloads
	stored [][]byte
	sender uint64
}

// pack makes datagrams of messages; there is at least one, to carry a number
// where there is no message. It returns slices of the messages' data.
func (b *Bus) pack(messages []outbox.Message) pack {
	p := pack{sender: b.sender.ID}
	datagram := b.head()
	for _, m := range messages {
		it := item{subject: m.Subject, data: m.Data}
		if len(m.Data) > maxInline {
			b.stored++
			it.stored = b.stored
			p.ids = append(p.ids, int64(b.stored))
			p.stored = append(p.stored, m.Data)
			it.data = nil
		}
		if len(datagram)+it.most() > maxDatagram {
			p.texts = append(p.texts, base64.RawStdEncoding.EncodeToString(datagram))
			datagram = b.head()
		}
		datagram = appendItem(datagram, it)
	}
	p.texts = append(p.texts, base64.RawStdEncoding.EncodeToString(datagram))
	return p
}

// head begins the next datagram, in a buffer that is used again for the one
// after.
func (b *Bus) head() []byte {
	b.scratch = binary.BigEndian.AppendUint64(b.scratch[:0], b.sender.ID)
	b.scratch = binary.AppendUvarint(b.scratch, b.sender.Next())
	return b.scratch
}

// datagram is one that has arrived.
type datagram struct {
	sender, number uint64
	rest           []byte // items
}

func parseDatagram(text string) (d datagram, err error) {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw) < 8 {
		return d, errDatagram
	}
	d.sender = binary.BigEndian.Uint64(raw)
	number, n := binary.Uvarint(raw[8:])
	if n <= 0 {
		return d, errDatagram
	}
	d.number, d.rest = number, raw[8+n:]
	return d, nil
}

// next takes the first item off. There is none when rest is empty.
func (d *datagram) next() (it item, err error) {
	subject, ok := d.cut(d.uvarint())
	if !ok {
		return it, errDatagram
	}
	it.subject = string(subject)
	size, ok := d.uvarint()
	switch {
	case !ok:
		return it, errDatagram
	case size > 0:
		if it.data, ok = d.cut(size-1, true); !ok {
			return it, errDatagram
		}
		return it, nil
	}
	id, ok := d.cut(8, true)
	if !ok {
		return it, errDatagram
	}
	it.stored = binary.BigEndian.Uint64(id)
	return it, nil
}

func (d *datagram) uvarint() (v uint64, ok bool) {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		return 0, false
	}
	d.rest = d.rest[n:]
	return v, true
}

// cut takes n bytes off, which nobody else gets.
func (d *datagram) cut(n uint64, ok bool) ([]byte, bool) {
	if !ok || n > uint64(len(d.rest)) {
		return nil, false
	}
	var taken []byte
	taken, d.rest = d.rest[:n:n], d.rest[n:]
	return taken, true
}
