package dial

import (
	"errors"
	"fmt"

	"github.com/coder/websocket"
)

// errLost marks the error of a write that ended the connection. The reader then
// finds out why, and tells whoever waits for an answer.
var errLost = errors.New("write")

// write sends the frame that encode appends. Once begun, a frame is written
// whole or the connection ends, so no caller's context can cut it.
func (p *Peer) write(encode func(dst []byte) ([]byte, error)) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	frame, err := encode(p.out[:0])
	if err != nil {
		return err
	}
	p.out = frame[:0]
	p.stalled.Reset(p.options.WriteTimeout)
	err = p.conn.Write(p.life, websocket.MessageText, frame)
	p.stalled.Stop()
	if err == nil {
		return nil
	}
	if !p.closing.Load() {
		_ = p.conn.CloseNow()
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// tell is write for frames that nobody waits for an answer to: it gives the
// reason of the end, if that is known by now.
func (p *Peer) tell(encode func(dst []byte) ([]byte, error)) error {
	err := p.write(encode)
	if end := p.Err(); err != nil && end != nil {
		return end
	}
	return err
}
