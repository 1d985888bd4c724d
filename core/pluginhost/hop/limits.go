package hop

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// listLimit is how many entries a list of a message may have, and what holds
// for each of them.
type listLimit struct {
	most  int
	entry listLimits
}

// listLimits are the lists of a message, by field number.
type listLimits map[protowire.Number]listLimit

// verdictsLimits are what an answer may list: an exception for each envelope of a
// batch, and the attributes that are kept of one.
func verdictsLimits() listLimits {
	return listLimits{4: {most: maxBatch, entry: listLimits{7: {most: maxNotes}}}, 5: {most: 1, entry: spansLimits()}}
}

// spansLimits are more than is kept of spans: what is merely too much is dropped.
func spansLimits() listLimits {
	span := listLimits{
		8: {most: 2 * maxSpanAttrs},
		9: {most: 2 * maxSpanEvents, entry: listLimits{3: {most: 2 * maxEventAttrs}}},
	}
	return listLimits{1: {most: maxListed, entry: span}}
}

// frameLimits are what a frame may list: one answer, log records, and spans.
func frameLimits() listLimits {
	return listLimits{
		1: {most: 1, entry: verdictsLimits()},
		5: {most: maxListed, entry: listLimits{4: {most: maxListed}}},
		6: {most: 1, entry: spansLimits()},
	}
}

// maxListed is how many log records one frame may bring, and how many
// attributes one record.
const maxListed = 256

// check returns what is wrong with an encoded message.
func (l listLimits) check(b []byte) error {
	var seen [16]int
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return breach("it sent what is no message")
		}
		value := b[n:]
		n = protowire.ConsumeFieldValue(number, kind, value)
		if n < 0 {
			return breach("it sent what is no message")
		}
		b = value[n:]
		limit, listed := l[number]
		if !listed {
			continue
		}
		if seen[number]++; seen[number] > limit.most {
			return breach("it listed more than %d of what a message has at most", limit.most)
		}
		if limit.entry == nil || kind != protowire.BytesType {
			continue
		}
		entry, _ := protowire.ConsumeBytes(value)
		if err := limit.entry.check(entry); err != nil {
			return err
		}
	}
	return nil
}
