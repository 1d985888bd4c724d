package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func (p *program) peerListenCommand() *cobra.Command {
	var m membership
	var groups []string
	l := &listener{program: p}
	c := &cobra.Command{
		Use:   "listen",
		Short: "Print messages as they come, one a line",
		Long: `Connects, prints messages as they come, one a line, and confirms each when it is
printed: what was not printed comes again. A lost connection is made again. Ends with
SIGINT, or after --count messages.`,
		Example: "  broker peer listen --name bo --invite TOKEN\n" +
			"  broker peer listen --member bo.json --group crew --json",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			for _, g := range groups {
				l.groups = append(l.groups, wire.Group{Name: g})
			}
			return l.listen(c.Context(), &m)
		},
	}
	m.addTo(c)
	c.Flags().StringArrayVar(&groups, "group", nil, "be in this group; may be repeated")
	c.Flags().BoolVar(&l.asJSON, "json", false, "print one JSON object a line")
	c.Flags().Int64Var(&l.count, "count", 0, "end after so many messages (default: never)")
	return c
}

// Pauses between attempts to connect again.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 15 * time.Second
)

// listener prints what one member is sent.
type listener struct {
	*program
	groups []wire.Group
	asJSON bool
	count  int64 // how many to print; 0 for all

	// Owned by the goroutine that reads the connection; there is one at a time.
	seen    recent
	printed int64
}

// errEnough ends a listener that has printed what it was to print.
var errEnough = errors.New("enough")

// listen prints until ctx ends, until it has printed enough, or until the broker
// says that it is over for good. The first connection must succeed.
func (l *listener) listen(ctx context.Context, m *membership) error {
	file, err := l.member(ctx, m)
	if err != nil {
		return err
	}
	c, err := l.connect(ctx, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.err, "listening as %s (key %s) on %s\n", printable(file.DisplayName), short(c.peer.Key()), file.URL)
	for {
		err := c.wait(ctx)
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			return nil
		}
		if !comesBack(err) {
			return err
		}
		fmt.Fprintf(l.err, "%s; connecting again\n", printable(err.Error()))
		if c, err = l.connectAgain(ctx, file); err != nil || c == nil {
			return err
		}
	}
}

// connectAgain tries until it succeeds, until the broker refuses for good, or
// until ctx ends, and then returns nothing.
func (l *listener) connectAgain(ctx context.Context, file *memberFile) (*listening, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(pause/2 + rand.N(pause)): // not everybody at once
		}
		c, err := l.connect(ctx, file)
		if err == nil || !comesBack(err) {
			return c, err
		}
	}
}

// listening is one connection of a listener.
type listening struct {
	peer *dial.Peer
	over chan error // why the listener itself wants to end; holds one
}

// connect says a plain hello: the member's own key is the one that others send
// to, so that it is the same at the next launch.
func (l *listener) connect(ctx context.Context, file *memberFile) (*listening, error) {
	id, err := file.identity()
	if err != nil {
		return nil, err
	}
	id.Groups = l.groups
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	c := &listening{over: make(chan error, 1)}
	c.peer, err = dial.Dial(ctx, file.URL, id, dial.Options{
		OnPush: func(peer *dial.Peer, push *wire.Push) { c.took(l.take(peer, push)) },
	})
	return c, err
}

// took ends the connection if the push was the last one wanted, or if it could
// not be printed.
func (c *listening) took(err error) {
	if err == nil {
		return
	}
	select {
	case c.over <- err:
	default:
	}
}

// wait returns why the connection has ended, when it has.
func (c *listening) wait(ctx context.Context) error {
	select {
	case <-c.peer.Done():
		return c.peer.Err()
	case err := <-c.over:
		return errors.Join(err, c.peer.Close())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.peer.Close())
	}
}

// take prints a message, once, and confirms it. Nothing else is read meanwhile,
// not even a ping, so that nothing unprinted counts as delivered.
func (l *listener) take(peer *dial.Peer, push *wire.Push) error {
	if push.SenderPubkey.System() {
		return nil
	}
	if l.count > 0 && l.printed >= l.count {
		return errEnough // it comes again to the next one who listens
	}
	if !l.seen.has(push.MessageID) {
		if err := l.print(peer, push); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		l.seen.add(push.MessageID)
		l.printed++
	}
	_ = peer.Confirm(push) // unconfirmed, it comes again and is not printed twice
	if l.count > 0 && l.printed >= l.count {
		return errEnough
	}
	return nil
}

// comesBack reports whether a connection that ended so should be made again.
func comesBack(err error) bool {
	var closed *dial.CloseError
	if !errors.As(err, &closed) {
		return !errors.Is(err, dial.ErrClosed) // the network's, or a broker that is not up yet
	}
	if closed.Code == codeLost {
		return true
	}
	for _, c := range wire.Closes() {
		if c.Code == closed.Code && c.Reason == closed.Reason {
			return c.Return
		}
	}
	switch sdk.Reason(closed.Reason) {
	case sdk.ReasonUnavailable, sdk.ReasonShuttingDown, sdk.ReasonCapacity, sdk.ReasonStageFailed, sdk.ReasonHelloTimeout:
		return true
	default:
		return false
	}
}

// codeLost is the code of a connection that ended without a close frame.
const codeLost wire.CloseCode = 1006
