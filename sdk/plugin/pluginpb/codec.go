package pluginpb

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is gRPC's protobuf codec, with generated code instead of reflection
// for the messages of this package. Both sides may use it, or gRPC's own: the
// bytes are the same. Services of go-plugin share the connection and go
// through gRPC's own.
//
// Texts and bytes of a decoded message point into one buffer that belongs to
// the message and is never used again, so they may be kept as long as wanted.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// message is what the generator makes of a message.
type message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
	UnmarshalVTUnsafe([]byte) error
}

// Name is the content subtype: protobuf, whoever encodes it.
func (Codec) Name() string { return proto.Name }

// Marshal encodes v into a buffer of gRPC's pool.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(message)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	}
	pool := mem.DefaultBufferPool()
	buf := pool.Get(m.SizeVT())
	if _, err := m.MarshalToSizedBufferVT(*buf); err != nil {
		pool.Put(buf)
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

// Unmarshal decodes into v, which keeps a copy of data and not data itself.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(message)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	if err := m.UnmarshalVTUnsafe(data.Materialize()); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
