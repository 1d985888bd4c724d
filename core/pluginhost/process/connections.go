package process

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// connections are those that go-plugin has made. It forgets one without closing
// it when the plugin dies while it is made, so that they are noted where every
// one of them passes: at its first stream.
type connections struct {
	mu  sync.Mutex
	all []*grpc.ClientConn
}

// dialOptions are the caller's with ours over them.
func (c *connections) dialOptions(callers []grpc.DialOption) []grpc.DialOption {
	return append(slices.Clone(callers),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(pluginpb.MaxMessage),
			grpc.MaxCallSendMsgSize(pluginpb.MaxMessage)),
		grpc.WithChainStreamInterceptor(c.stream))
}

// stream notes the connection and refuses go-plugin's broker: a plugin has no
// business to call back, and each message there would cost the host a goroutine
// for 5 s.
func (c *connections) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	c.mu.Lock()
	if !slices.Contains(c.all, cc) {
		c.all = append(c.all, cc)
	}
	c.mu.Unlock()
	if strings.HasPrefix(method, "/plugin.GRPCBroker/") {
		return nil, status.Error(codes.Unimplemented, "plugins do not call back")
	}
	return streamer(ctx, desc, cc, method, opts...)
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cc := range c.all {
		_ = cc.Close() // an error says that it is closed
	}
}
