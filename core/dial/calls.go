package dial

import (
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/wire"
)

// calls are the requests that wait for an answer, by the number that they
// carry as id or as _reqId.
type calls struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]call
	err     error // set when the connection has ended
}

// call is how one answer is handed over: a send's or any other request's.
type call struct {
	ack   func(wire.Ack, error)
	reply func(jsontext.Value, error)
}

func newCalls() calls { return calls{waiting: map[uint64]call{}} }

// add gives c a number, or the error that ended the connection.
func (cs *calls) add(c call) (uint64, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.err != nil {
		return 0, cs.err
	}
	cs.last++
	cs.waiting[cs.last] = c
	return cs.last, nil
}

// take returns the call with the number in token, which then waits no more. It
// returns the zero call when there is none.
func (cs *calls) take(token jsontext.Value) call {
	n, ok := number(token)
	if !ok {
		return call{}
	}
	return cs.drop(n)
}

// drop takes back the call with a number.
func (cs *calls) drop(n uint64) call {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.waiting[n]
	delete(cs.waiting, n)
	return c
}

// fail ends all calls, and those to come.
func (cs *calls) fail(err error) {
	cs.mu.Lock()
	cs.err = err
	waiting := cs.waiting
	cs.waiting = nil
	cs.mu.Unlock()
	for _, c := range waiting {
		c.fail(err)
	}
}

func (c call) none() bool { return c.ack == nil && c.reply == nil }

func (c call) fail(err error) {
	if c.ack != nil {
		c.ack(wire.Ack{}, err)
	}
	if c.reply != nil {
		c.reply(nil, err)
	}
}

// token is the JSON of a number on the wire: a text, as other peers use.
func token(n uint64) jsontext.Value {
	b := append(make([]byte, 0, 22), '"')
	b = strconv.AppendUint(b, n, 10)
	return append(b, '"')
}

// number reads what token wrote.
func number(token jsontext.Value) (uint64, bool) {
	if len(token) < 3 || token[0] != '"' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(token[1:len(token)-1]), 10, 64)
	return n, err == nil
}
