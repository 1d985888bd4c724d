package graph

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// mostMessage is how many bytes a message of a server may have, such as a record.
// As JSON, and in the memory of the driver, it is some times as long.
const mostMessage = 1 << 20

// acceptAgain is how long the gate waits after it could not take a connection.
const acceptAgain = 100 * time.Millisecond

// boltPort is the server's where a URL has none.
const boltPort = "7687"

// gate is the driver's way to a server. The driver takes a message into memory
// however long it is, and Cypher makes a long one of a few words: what is longer
// than [mostMessage] becomes a refusal here, and the connection ends, so that the
// server goes no further. It is a socket in a directory that is the plugin's alone.
type gate struct {
	dial   func(context.Context) (net.Conn, error)
	socket string
	listen net.Listener
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu  sync.Mutex
	why error // that the last dial failed; nil when it did not
}

// openGate opens the way to a server whose URL has the scheme bolt or bolt+s.
func openGate(at *url.URL, patience time.Duration) (*gate, error) {
	dir, err := os.MkdirTemp("", "graph")
	if err != nil {
		return nil, err
	}
	g := &gate{dial: dialer(at, patience), socket: filepath.Join(dir, "s")}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.listen, err = new(net.ListenConfig).Listen(ctx, "unix", g.socket)
	if err != nil {
		cancel()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	g.all.Go(func() { g.accept(ctx) })
	return g, nil
}

// dialer returns what connects to a server.
func dialer(at *url.URL, patience time.Duration) func(context.Context) (net.Conn, error) {
	address := net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), boltPort))
	plain := &net.Dialer{Timeout: patience}
	if at.Scheme != "bolt+s" {
		return func(ctx context.Context) (net.Conn, error) { return plain.DialContext(ctx, "tcp", address) }
	}
	sealed := &tls.Dialer{NetDialer: plain, Config: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: at.Hostname()}}
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return sealed.DialContext(ctx, "tcp", address)
	}
}

// url is what the driver is given.
func (g *gate) url() string { return (&url.URL{Scheme: "bolt+unix", Path: g.socket}).String() }

// close ends what is under way.
func (g *gate) close() error {
	g.cancel()
	err := g.listen.Close()
	g.all.Wait()
	return errors.Join(err, os.RemoveAll(filepath.Dir(g.socket)))
}

// lost returns why the server is not reached, nil when it was the last time.
func (g *gate) lost() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

func (g *gate) accept(ctx context.Context) {
	for {
		driver, err := g.listen.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no file is left to open, say
			select {
			case <-ctx.Done():
				return
			case <-time.After(acceptAgain):
				continue
			}
		}
		g.all.Go(func() { g.serve(ctx, driver) })
	}
}

// serve is one connection. Errors end it, which the driver tells of.
func (g *gate) serve(ctx context.Context, driver net.Conn) {
	defer func() { _ = driver.Close() }()
	server, err := g.dial(ctx)
	g.mu.Lock()
	g.why = err
	g.mu.Unlock()
	if err != nil {
		return
	}
	end := func() { _, _ = driver.Close(), server.Close() }
	defer end()
	defer context.AfterFunc(ctx, end)()
	if shake(driver, server) != nil {
		return
	}
	g.all.Go(func() {
		defer end()
		_, _ = io.Copy(server, driver)
	})
	_ = answers(driver, server)
}

// shake passes on the handshake. The driver offers a newer form of it first, which
// has more to it than four bytes, and older ones that say the same.
func shake(driver, server net.Conn) error {
	var offer [20]byte
	if _, err := io.ReadFull(driver, offer[:]); err != nil {
		return err
	}
	for i := 4; i < len(offer); i += 4 {
		if offer[i+3] == 0xff {
			clear(offer[i : i+4])
		}
	}
	if _, err := server.Write(offer[:]); err != nil {
		return err
	}
	_, err := io.CopyN(driver, server, 4)
	return err
}

// answers passes on messages: chunks, each behind its length, and an empty one at
// the end. Nothing of a message is passed on before all of it is there.
func answers(driver io.Writer, server io.Reader) error {
	from, to := bufio.NewReader(server), bufio.NewWriter(driver)
	var message []byte
	for {
		if from.Buffered() == 0 {
			if err := to.Flush(); err != nil {
				return err
			}
		}
		var size [2]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if len(message)+n > mostMessage {
			_, err := to.Write(failure(fmt.Sprintf("a record of the answer has more than %d bytes: return less of it", mostMessage)))
			return errors.Join(err, to.Flush())
		}
		message = append(message, size[:]...)
		at := len(message)
		message = append(message, make([]byte, n)...)
		if _, err := io.ReadFull(from, message[at:]); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := to.Write(message); err != nil {
			return err
		}
		message = message[:0]
	}
}

// codeTooLong is the code of what the gate refuses: a fault of the statement.
const codeTooLong = "Neo.ClientError.Statement.AnswerTooLong"

// failure is a message that a server sends when something is wrong, in the words of
// all versions of Bolt. Its texts have to be short.
func failure(text string) []byte {
	b := []byte{0xb1, 0x7f, 0xa3} // a structure of one field, FAILURE, a map of three
	for _, s := range []string{"code", codeTooLong, "neo4j_code", codeTooLong, "message", text} {
		b = append(append(b, 0xd0, byte(len(s))), s...) //nolint:gosec // short
	}
	chunk := binary.BigEndian.AppendUint16(nil, uint16(len(b))) //nolint:gosec // short
	return append(append(chunk, b...), 0, 0)
}
