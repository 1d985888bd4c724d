// Package grants keeps messages from recipients who do not want them.
//
// Each member may say, for each sender, what it allows. The stage looks at
// every recipient of a message before it is accepted: whoever refuses is left
// out of the audience, and a direct message that nobody is left for is
// refused.
package grants

import (
	"context"
	"fmt"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Book knows what members allow.
type Book interface {
	// Grants returns what a member allows, nil when it has said nothing. It is
	// called once per member of an audience, so it answers from memory; the
	// result is shared and must not be changed. An error is a failure of the
	// book; a member that it does not know has said nothing.
	Grants(ctx context.Context, mesh, memberID string) (store.Grants, error)
}

// OnBlock says what the sender of a blocked direct message is told.
type OnBlock string

// What the sender of a blocked direct message is told.
const (
	DenyBlocked OnBlock = "deny" // that the recipient blocks it
	DropBlocked OnBlock = "drop" // that it was delivered
)

// Options are the stage's options.
type Options struct {
	OnBlock OnBlock `koanf:"on_block" one:"deny|drop" doc:"what the sender of a blocked direct message is told. deny: that it is blocked. drop: that it was delivered, so that nobody learns of a block; then rate-limit belongs before grants, so that such messages spend the rate that others spend"`
}

// DefaultOptions are the options of a link without any.
func DefaultOptions() Options { return Options{OnBlock: DenyBlocked} }

// Validate returns what is wrong with the options.
func (o Options) Validate() error {
	if o.OnBlock != DenyBlocked && o.OnBlock != DropBlocked {
		return fmt.Errorf("on_block is deny or drop, not %q", o.OnBlock)
	}
	return nil
}

// Stage is the grants stage. It may be used by many goroutines at once.
type Stage struct {
	book    Book
	blocked sdk.Decision
	drops   *Drops
}

// New returns a grants stage that counts into drops, or into counters of its
// own when drops is nil.
func New(book Book, o Options, drops *Drops) *Stage {
	if drops == nil {
		drops = new(Drops)
	}
	s := &Stage{book: book, drops: drops, blocked: sdk.Refuse(sdk.ReasonBlocked,
		"blocked by recipient grants: the recipient does not allow dm from you; it would have to grant it to your key")}
	if o.OnBlock == DropBlocked {
		s.blocked = sdk.Decision{Verdict: sdk.Drop, Reason: sdk.ReasonBlocked}
	}
	return s
}

// Kinds limits the stage to messages; nothing else is granted or refused.
func (*Stage) Kinds() []sdk.Kind { return []sdk.Kind{sdk.KindSend} }

// Handle narrows the audience to the recipients that allow the message.
//
// Only a direct message can be refused by it: the sender of a multicast is
// never told who, or how many, did not get it.
func (s *Stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	audience, err := env.Audience(ctx)
	if err != nil {
		return sdk.Decision{}, fmt.Errorf("audience: %w", err)
	}
	want := store.CapBroadcast
	if env.Target.Kind == sdk.TargetKey {
		want = store.CapDM
	}
	var member string // of the recipient before; sessions of a member stand together
	var allowed bool
	out := env.Narrow(func(r *sdk.Recipient) bool {
		if err != nil {
			return true
		}
		if r.MemberID != member || member == "" {
			var g store.Grants
			if g, err = s.book.Grants(ctx, env.Mesh, r.MemberID); err != nil {
				return true
			}
			member, allowed = r.MemberID, Allows(g, env.Sender.Member, env.Sender.Session, want)
		}
		return allowed
	})
	if err != nil {
		return sdk.Decision{}, fmt.Errorf("grants of a recipient: %w", err)
	}
	if out > 0 {
		s.drops.add(want, out)
		if want == store.CapDM && out == len(audience) {
			return s.blocked, nil
		}
	}
	return sdk.Next(), nil
}
