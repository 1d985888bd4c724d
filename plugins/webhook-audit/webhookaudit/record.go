package webhookaudit

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A record of a segment is a header and a body: 4 bytes of body length, 4 bytes
// of the number of events, 8 bytes of the lost events that it tells of, the id,
// 4 bytes of CRC-32C over all of the record but itself, and the body. Numbers
// are big endian.
const (
	idAt       = 4 + 4 + 8
	crcAt      = idAt + idLength
	headerSize = crcAt + 4
)

// longestRecord bounds what is read for one record: a batch of one event may be
// longer than longestBatch, by far less than this.
const longestRecord = 16 << 20

var errDamaged = errors.New("a record is damaged or cut off")

// appendRecord appends a batch in the form of a segment.
func appendRecord(to []byte, b *batch) []byte {
	start := len(to)
	to = binary.BigEndian.AppendUint32(to, uint32(len(b.body)))
	to = binary.BigEndian.AppendUint32(to, uint32(b.events))
	to = binary.BigEndian.AppendUint64(to, b.told)
	to = append(to, b.id...)
	sum := crc(to[start:], b.body)
	to = binary.BigEndian.AppendUint32(to, sum)
	return append(to, b.body...)
}

// readRecord reads the record at an offset. It returns errDamaged for one that
// is not whole.
func readRecord(from io.ReaderAt, offset int64) (batch, error) {
	var header [headerSize]byte
	if _, err := from.ReadAt(header[:], offset); err != nil {
		return batch{}, errDamaged
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > longestRecord {
		return batch{}, errDamaged
	}
	b := batch{
		id: string(header[idAt:crcAt]), events: int(binary.BigEndian.Uint32(header[4:])),
		told: binary.BigEndian.Uint64(header[8:]),
		body: make([]byte, length), offset: offset,
	}
	if _, err := from.ReadAt(b.body, offset+headerSize); err != nil {
		return batch{}, errDamaged
	}
	if crc(header[:crcAt], b.body) != binary.BigEndian.Uint32(header[crcAt:]) {
		return batch{}, errDamaged
	}
	return b, nil
}

func (b *batch) recordSize() int64 { return int64(headerSize + len(b.body)) }

func crc(header, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Update(0, table, header), table, body)
}
