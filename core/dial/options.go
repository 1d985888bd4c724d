package dial

import (
	"cmp"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

// Options change how a peer behaves. The zero Options are fine.
type Options struct {
	// OnPush is called for every push, in the order of arrival, by the goroutine
	// that reads the socket; the first may come before Dial returns. Until it
	// returns nothing else is read, answers included: it may use SendAsync,
	// Tell and Confirm, but must not wait for an answer of this peer, nor Close
	// or Abort it. Nil keeps pushes for [Peer.Recv].
	OnPush func(*Peer, *wire.Push)

	// ConfirmPushes sends a client_ack for every message when OnPush has
	// returned or Recv returns it. News from the broker are never confirmed.
	ConfirmPushes bool

	// OnFrame gets the frames that nobody waits for, such as errors without a
	// known id. It is called like OnPush and must not keep frame. The type is
	// empty when the frame has none.
	OnFrame func(typ string, frame []byte)

	// PlainHello names the session key in a plain hello, as older peers do,
	// instead of saying session_hello.
	PlainHello bool

	// Hello is sent as the first frame instead of the identity's own.
	Hello wire.Frame

	HTTPClient   *http.Client     // for the upgrade; nil uses one without keep-alive
	HelloTimeout time.Duration    // longest wait for hello_ack; 0 means 5 s
	WriteTimeout time.Duration    // a frame that takes longer to write ends the connection; 0 means 10 s
	ReadLimit    int64            // largest frame to read, in bytes; 0 means 8 MiB
	Now          func() time.Time // clock for signatures; nil means time.Now
}

// upgrader makes one connection per request, so that a refused upgrade leaves
// nothing behind.
var upgrader = &http.Client{Transport: &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DisableKeepAlives:   true,
	TLSHandshakeTimeout: 10 * time.Second,
}}

func (o Options) withDefaults() Options {
	o.HTTPClient = cmp.Or(o.HTTPClient, upgrader)
	o.HelloTimeout = cmp.Or(o.HelloTimeout, 5*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.ReadLimit = cmp.Or(o.ReadLimit, 8<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
