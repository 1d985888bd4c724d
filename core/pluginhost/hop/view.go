package hop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// viewer encodes what a plugin may see of envelopes. All methods may be called
// concurrently.
type viewer struct {
	rights Rights
	prefix string   // of the stage's own attributes
	secret [16]byte // makes pseudonyms: equal within a hop, worth nothing outside
	pool   sync.Pool
}

// view is an envelope in the form of the wire, and room for what it points to.
type view struct {
	msg        pluginpb.Envelope
	attributes []pluginpb.Attribute
	recipients []pluginpb.Recipient
	pseudonyms [][sha256.Size]byte
	hash       [sha256.Size]byte
}

func newViewer(rights Rights, link string) *viewer {
	v := &viewer{rights: rights, prefix: link + "."}
	_, _ = rand.Read(v.secret[:]) // never fails
	v.pool.New = func() any { return new(view) }
	return v
}

// appendView appends the encoded view of an envelope, which the plugin judges
// within a span. The error is the directory's, which had to be asked for the
// audience.
func (v *viewer) appendView(ctx context.Context, b []byte, env *sdk.Envelope, within trace.SpanContext) ([]byte, error) {
	w := v.pool.Get().(*view)
	defer v.release(w)
	v.fill(w, env)
	w.msg.Trace = format(within)
	if v.rights.Audience {
		audience, err := env.Audience(ctx)
		if err != nil {
			return b, err
		}
		v.audience(w, audience)
	}
	v.sealed(w, env)
	return appendMessage(b, &w.msg)
}

// appendOutcome appends an encoded outcome: the view without the audience and
// the sealed parts, and how the envelope ended.
func (v *viewer) appendOutcome(b []byte, env *sdk.Envelope, out sdk.Outcome) ([]byte, error) {
	w := v.pool.Get().(*view)
	defer v.release(w)
	v.fill(w, env)
	w.msg.Trace = env.Trace
	return appendMessage(b, &pluginpb.Outcome{
		Envelope: &w.msg, Verdict: uint32(out.Decision.Verdict), Reason: string(out.Decision.Reason), Stage: out.Stage,
		TookNanos: int64(out.Took), SettledNanos: int64(out.Settled),
		Recipients: int64(out.Recipients), Pushed: int64(out.Pushed), Queued: int64(out.Queued),
	})
}

// keptRecipients is the largest audience whose room a view keeps.
const keptRecipients = 256

// release forgets the envelope, which is not ours, and keeps the room.
func (v *viewer) release(w *view) {
	if cap(w.recipients) > keptRecipients {
		return
	}
	attributes, audience := w.msg.Attributes[:0], w.msg.Audience[:0]
	w.msg.Reset()
	w.msg.Attributes, w.msg.Audience = attributes, audience
	clear(w.attributes)
	clear(w.recipients)
	w.attributes, w.recipients, w.pseudonyms = w.attributes[:0], w.recipients[:0], w.pseudonyms[:0]
	v.pool.Put(w)
}

// fill sets what every view has.
func (v *viewer) fill(w *view, env *sdk.Envelope) {
	m := &w.msg
	m.Kind, m.Mesh, m.Conn = string(env.Kind), env.Mesh, env.Sender.Conn
	m.Priority, m.Size, m.Arrived = uint32(env.Priority), int64(env.Size), env.Arrived.UnixNano()
	m.MessageId, m.Target = env.MessageID, uint32(env.Target.Kind)
	w.reserve(3)
	m.Member, m.Session = v.key(w, &env.Sender.Member), v.key(w, &env.Sender.Session)
	m.TargetKey = v.key(w, &env.Target.Key)
	if v.rights.Identity {
		m.MemberId, m.Name, m.Remote = env.Sender.MemberID, env.Sender.Name, env.Sender.Remote
		m.TargetName = env.Target.Name
	}
	v.attributes(w, env.Attributes)
}

// key returns a key as the plugin may see it, nil for none.
func (v *viewer) key(w *view, k *sdk.Key) []byte {
	switch {
	case k.IsZero():
		return nil
	case v.rights.Identity:
		return k[:]
	}
	// One block of SHA-256 under a secret prefix. Its input has one length, so
	// nothing can be appended to it.
	var in [len(v.secret) + sdk.KeySize]byte
	copy(in[:], v.secret[:])
	copy(in[len(v.secret):], k[:])
	w.pseudonyms = append(w.pseudonyms, sha256.Sum256(in[:]))
	return w.pseudonyms[len(w.pseudonyms)-1][:]
}

// reserve makes room for n more pseudonyms, so that those already handed out
// stay where they are.
func (w *view) reserve(n int) {
	if need := len(w.pseudonyms) + n; need > cap(w.pseudonyms) {
		w.pseudonyms = append(make([][sha256.Size]byte, 0, need), w.pseudonyms...)
	}
}

func (v *viewer) attributes(w *view, list []sdk.Attribute) {
	for i := range list {
		key, own := strings.CutPrefix(list[i].Key, v.prefix)
		if own || v.rights.Attributes {
			w.attributes = append(w.attributes, pluginpb.Attribute{Key: key, Value: list[i].Value})
		}
	}
	for i := range w.attributes {
		w.msg.Attributes = append(w.msg.Attributes, &w.attributes[i])
	}
}

func (v *viewer) audience(w *view, list []sdk.Recipient) {
	w.reserve(2 * len(list))
	for i := range list {
		w.recipients = append(w.recipients, pluginpb.Recipient{
			Member: v.key(w, &list[i].Member), Session: v.key(w, &list[i].Session),
		})
	}
	for i := range w.recipients {
		w.msg.Audience = append(w.msg.Audience, &w.recipients[i])
	}
}

// sealed adds the parts that a plugin sees only with a right of their own.
func (v *viewer) sealed(w *view, env *sdk.Envelope) {
	if v.rights.Payload {
		w.msg.Payload = env.Payload()
	}
	if v.rights.PayloadHash {
		if hash, ok := env.PayloadHash(); ok {
			w.hash = hash
			w.msg.PayloadHash = w.hash[:]
		}
	}
	if v.rights.Credential {
		w.msg.Credential = env.Credential()
	}
}
