package bustest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP relay before a server, which can be held and cut: what a dead
// network does, and a stopped server does not.
type Proxy struct {
	listener net.Listener
	target   string
	g        sync.WaitGroup

	mu     sync.Mutex // guards conns and closed
	conns  []net.Conn
	closed bool

	gate sync.RWMutex // read-locked for each piece that passes
}

// NewProxy relays to the address until the test ends.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port on loopback is there at once
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: l, target: target}
	p.g.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens, as host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Freeze lets nothing pass any more and keeps the connections open.
func (p *Proxy) Freeze() { p.gate.Lock() }

// Thaw ends what Freeze began.
func (p *Proxy) Thaw() { p.gate.Unlock() }

// Cut closes all connections. New ones pass.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close() // its copier sees it
	}
	p.conns = nil
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.g.Wait()
}

func (p *Proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target) //nolint:noctx // a server on loopback answers or refuses at once
		if err != nil {
			_ = from.Close()
			continue
		}
		p.join(from, to)
	}
}

func (p *Proxy) join(from, to net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, from, to)
	p.g.Go(func() { p.relay(to, from) })
	p.g.Go(func() { p.relay(from, to) })
	if p.closed {
		_ = from.Close()
		_ = to.Close()
	}
}

func (p *Proxy) relay(to io.WriteCloser, from io.ReadCloser) {
	defer func() { _, _ = to.Close(), from.Close() }()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		p.gate.RLock()
		_, werr := to.Write(piece[:n])
		p.gate.RUnlock()
		if err != nil || werr != nil {
			return
		}
	}
}
