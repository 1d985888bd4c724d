package hop

import (
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Field numbers of plugin.proto that are written by hand: those that wrap
// messages which are encoded already. A test holds them to the generated code.
const (
	frameBatch    protowire.Number = 2
	frameOutcomes protowire.Number = 5

	batchSeq       protowire.Number = 1
	batchDeadline  protowire.Number = 2
	batchInstance  protowire.Number = 3
	batchEnvelopes protowire.Number = 4

	outcomesSeq      protowire.Number = 1
	outcomesInstance protowire.Number = 2
	outcomesOutcomes protowire.Number = 3
	outcomesMissed   protowire.Number = 4
)

// raw is a message that is encoded already. The codec takes the bytes over.
type raw []byte

// codec is that of plugin.proto, and passes encoded messages through.
type codec struct {
	pluginpb.Codec
	frame, verdicts listLimits
}

func newCodec() codec { return codec{frame: frameLimits(), verdicts: verdictsLimits()} }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*raw)
	if !ok {
		return c.Codec.Marshal(v)
	}
	b := []byte(*m)
	return mem.BufferSlice{mem.NewBuffer(&b, mem.DefaultBufferPool())}, nil
}

// Unmarshal decodes an answer, unless it lists more than there can be: decoded,
// an empty entry takes a hundred times the bytes that it takes on the wire.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var limits listLimits
	switch v.(type) {
	case *pluginpb.PluginFrame:
		limits = c.frame
	case *pluginpb.Verdicts:
		limits = c.verdicts
	default:
		return c.Codec.Unmarshal(data, v)
	}
	flat := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer flat.Free()
	if err := limits.check(flat.ReadOnlyData()); err != nil {
		return err
	}
	return c.Codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(flat.ReadOnlyData())}, v)
}

// message is what the generated code of plugin.proto can do.
type message interface {
	MarshalToSizedBufferVT(b []byte) (int, error)
	SizeVT() int
}

// appendMessage appends a message without its length.
func appendMessage(b []byte, m message) ([]byte, error) {
	n, at := m.SizeVT(), len(b)
	b = append(b, make([]byte, n)...)
	_, err := m.MarshalToSizedBufferVT(b[at:])
	return b, err
}

// buffer returns an empty buffer with room for size bytes, which the codec
// gives back when it was sent.
func buffer(size int) []byte { return (*mem.DefaultBufferPool().Get(size))[:0] }

// header is what stands before the encoded envelopes or outcomes of a message.
type header struct {
	seq      uint64
	deadline time.Duration
	instance string
	missed   uint64
}

// encodeBatch builds a Batch, in a HostFrame when it goes over a stream.
func encodeBatch(h header, batch []*call, framed bool) raw {
	inner := sizeVarint(batchSeq, h.seq) + sizeVarint(batchDeadline, uint64(h.deadline)) + sizeString(batchInstance, h.instance)
	for _, c := range batch {
		inner += protowire.SizeTag(batchEnvelopes) + protowire.SizeBytes(len(c.view))
	}
	b := begin(inner, framed, frameBatch)
	b = appendVarint(b, batchSeq, h.seq)
	b = appendVarint(b, batchDeadline, uint64(h.deadline))
	b = appendString(b, batchInstance, h.instance)
	for _, c := range batch {
		b = protowire.AppendTag(b, batchEnvelopes, protowire.BytesType)
		b = protowire.AppendBytes(b, c.view)
	}
	return b
}

// encodeOutcomes builds an Outcomes, in a HostFrame when it goes over a stream.
func encodeOutcomes(h header, outcomes [][]byte, framed bool) raw {
	inner := sizeVarint(outcomesSeq, h.seq) + sizeString(outcomesInstance, h.instance) + sizeVarint(outcomesMissed, h.missed)
	for _, o := range outcomes {
		inner += protowire.SizeTag(outcomesOutcomes) + protowire.SizeBytes(len(o))
	}
	b := begin(inner, framed, frameOutcomes)
	b = appendVarint(b, outcomesSeq, h.seq)
	b = appendString(b, outcomesInstance, h.instance)
	for _, o := range outcomes {
		b = protowire.AppendTag(b, outcomesOutcomes, protowire.BytesType)
		b = protowire.AppendBytes(b, o)
	}
	return appendVarint(b, outcomesMissed, h.missed)
}

// begin returns a buffer with the frame's wrapper, if there is one, for a
// message of inner bytes.
func begin(inner int, framed bool, field protowire.Number) []byte {
	if !framed {
		return buffer(inner)
	}
	b := buffer(protowire.SizeTag(field) + protowire.SizeBytes(inner))
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(inner))
}

func sizeVarint(n protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(n) + protowire.SizeVarint(v)
}

func appendVarint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func sizeString(n protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(n) + protowire.SizeBytes(len(s))
}

func appendString(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// controlFrame is what the pump has to say besides batches.
func controlFrame(cancel []uint64, ping uint64) *pluginpb.HostFrame {
	f := new(pluginpb.HostFrame)
	if len(cancel) > 0 {
		f.Cancel = &pluginpb.Cancel{Seqs: cancel}
	}
	if ping > 0 {
		f.Ping = &pluginpb.Ping{Nonce: ping}
	}
	return f
}
