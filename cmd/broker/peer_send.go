package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ignore leaves a push unconfirmed.
func ignore(*dial.Peer, *wire.Push) {}

func (p *program) peerSendCommand() *cobra.Command {
	var m membership
	var priority string
	var asJSON, trace bool
	c := &cobra.Command{
		Use:   "send TO TEXT...",
		Short: "Send a message and wait for the broker's ack",
		Long: `Sends a message and prints its id when the broker has it on disk, or the recipient has
it already. TO is the name or the key of a peer, the beginning of a key (8 digits at
least), @group, or * for everybody. A name is looked up among the peers that are here; a
key also reaches a member who is away, later. Messages to one peer are sealed for it; those
to groups and everybody are not.

TEXT "-" is read from standard input. Exits with 1 when the broker refuses.

--trace begins a trace with the message, and prints its id to standard error: a broker
that sends traces (telemetry.traces) shows there what each stage, the plugins, the disk and
the delivery took.`,
		Example: "  broker peer send --name ada --invite TOKEN bo \"hello\"\n" +
			"  broker peer send --member ada.json @crew \"lunch?\" --priority low",
		Args: takes("TO", "TEXT..."),
		RunE: func(c *cobra.Command, args []string) error {
			urgency, ok := sdk.ParsePriority(priority)
			if !ok {
				return usage(c, "--priority is now, next or low, not "+quoted(priority))
			}
			text, err := p.messageText(args[1:])
			if err != nil {
				return err
			}
			return p.visit(c.Context(), &m, func(ctx context.Context, peer *dial.Peer) error {
				o := dial.SendOptions{ClientMessageID: identity.NewID()}
				if trace {
					o.Traceparent = p.beginTrace()
				}
				ack, err := send(ctx, peer, args[0], urgency, text, o)
				if err != nil {
					return err
				}
				return p.printAck(ack, asJSON)
			})
		},
	}
	m.addTo(c)
	c.Flags().StringVar(&priority, "priority", "next", "now (disturbs a busy peer), next or low")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&trace, "trace", false, "begin a trace, and print its id to standard error")
	return c
}

// beginTrace says a new trace's id, and returns the traceparent of what is in it.
func (p *program) beginTrace() string {
	c := traceparent.Context{Sampled: true}
	_, _ = rand.Read(c.TraceID[:])
	_, _ = rand.Read(c.SpanID[:]) // the span that we are
	fmt.Fprintf(p.err, "trace %x\n", c.TraceID)
	return c.String()
}

// maxText is how much is read from standard input. Brokers take 64 KiB unless
// they are told otherwise.
const maxText = 1 << 20

// messageText is what the arguments say, or what standard input does.
func (p *program) messageText(args []string) (string, error) {
	if len(args) != 1 || args[0] != "-" {
		return strings.Join(args, " "), nil
	}
	text, err := io.ReadAll(io.LimitReader(p.in, maxText))
	return string(text), err
}

// send finds out whom to means, seals what can be sealed, and sends.
func send(ctx context.Context, peer *dial.Peer, to string, urgency sdk.Priority, text string, o dial.SendOptions) (wire.Ack, error) {
	if to == "*" || strings.HasPrefix(to, "@") || strings.HasPrefix(to, "#") {
		nonce, ciphertext := dial.Plain(text)
		return peer.Send(ctx, to, urgency, nonce, ciphertext, o)
	}
	key, err := resolve(ctx, peer, to)
	if err != nil {
		return wire.Ack{}, err
	}
	nonce, ciphertext, err := peer.SealDirect(key, text)
	if err != nil {
		return wire.Ack{}, fmt.Errorf("nothing can be sealed for %s: %w", quoted(to), err)
	}
	return peer.Send(ctx, key.String(), urgency, nonce, ciphertext, o)
}

// resolve returns the key that a name, a key or the beginning of one means.
func resolve(ctx context.Context, peer *dial.Peer, to string) (sdk.Key, error) {
	if key, err := sdk.ParseKey(to); err == nil && !key.IsZero() {
		return key, nil
	}
	list, err := dial.Ask[wire.PeersList](ctx, peer, wire.ListPeers{})
	if err != nil {
		return sdk.Key{}, err
	}
	return choose(list.Peers, peer.Key(), to)
}

// choose returns the key of the one peer that to means. A member with several
// sessions of the name is reached by its own key, in all of them.
func choose(rows []wire.PeerRow, self sdk.Key, to string) (sdk.Key, error) {
	var found []wire.PeerRow
	for _, r := range rows {
		if r.Pubkey != self && meant(r, to) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return sdk.Key{}, fmt.Errorf("nobody here is called %s: broker peer peers shows who is, and a key reaches also who is away", quoted(to))
	case len(found) == 1:
		return found[0].Pubkey, nil
	case slices.ContainsFunc(found, func(r wire.PeerRow) bool { return r.MemberPubkey != found[0].MemberPubkey }):
		var keys []string
		for _, r := range found {
			keys = append(keys, short(r.Pubkey))
		}
		return sdk.Key{}, fmt.Errorf("%d peers answer to %s (%s): give a key", len(found), quoted(to), strings.Join(keys, ", "))
	}
	return found[0].MemberPubkey, nil
}

// minKeyPrefix is how many digits of a key name a peer at least.
const minKeyPrefix = 8

// meant reports whether a peer has this name or a key that begins so.
func meant(r wire.PeerRow, to string) bool {
	if r.DisplayName == to {
		return true
	}
	prefix := strings.ToLower(to)
	return len(to) >= minKeyPrefix &&
		(strings.HasPrefix(r.Pubkey.String(), prefix) || strings.HasPrefix(r.MemberPubkey.String(), prefix))
}

// printAck prints what became of a message; a refusal fails the command.
func (p *program) printAck(ack wire.Ack, asJSON bool) error {
	switch {
	case asJSON:
		err := p.json(struct {
			MessageID string `json:"messageId"`
			Queued    bool   `json:"queued"`
			Error     string `json:"error,omitempty"`
		}{ack.MessageID, ack.Queued, ack.Error})
		if err == nil && !ack.Queued {
			err = errSaid
		}
		return err
	case !ack.Queued:
		return errors.New("the broker refused the message: " + printable(ack.Error))
	}
	_, err := fmt.Fprintln(p.out, ack.MessageID)
	return err
}
