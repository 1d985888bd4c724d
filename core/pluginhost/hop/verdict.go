package hop

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of what a verdict may carry.
const (
	maxNotes     = 16   // attributes of one verdict
	maxNoteBytes = 1024 // their keys and values together
	maxText      = 512  // bytes of the text for the sender
	maxReason    = 64   // bytes of the machine word
	maxReasons   = 64   // different words of one hop: each is a label of metrics
	maxErrorText = 512  // bytes of the error for the log
)

// check returns what is wrong with the answer to a batch of n envelopes. Only
// an answer without fault is used, and then all of it.
func check(v *pluginpb.Verdicts, n int) error {
	switch {
	case v.GetCount() != uint32(n):
		return breach("it answered %d envelopes of a batch of %d", v.GetCount(), n)
	case !settable(v.GetDefaultVerdict()):
		return breach("its default verdict is %d; 1 continue, 2 deny or 3 drop is needed", v.GetDefaultVerdict())
	case len(v.GetExceptions()) > n:
		return breach("it listed %d exceptions for a batch of %d", len(v.GetExceptions()), n)
	}
	var seen [maxBatch]bool
	for _, e := range v.GetExceptions() {
		switch i := e.GetIndex(); {
		case i >= uint32(n):
			return breach("it answered envelope %d of a batch of %d", i, n)
		case seen[i]:
			return breach("it answered envelope %d of a batch twice", i)
		case e.GetVerdict() != 0 && !settable(e.GetVerdict()):
			return breach("it answered with the verdict %d, which there is not", e.GetVerdict())
		default:
			seen[i] = true
		}
	}
	return nil
}

func settable(v uint32) bool {
	return v == uint32(sdk.Continue) || v == uint32(sdk.Deny) || v == uint32(sdk.Drop)
}

// apply turns a verdict into a decision and carries its changes out on the
// envelope. A verdict that uses a right which was not granted changes nothing
// and is an error: the stage meant something else than would happen.
func (h *Hop) apply(env *sdk.Envelope, v *pluginpb.Verdict) (sdk.Decision, error) {
	if v == nil {
		return sdk.Next(), nil
	}
	if err := h.permitted(env, v); err != nil {
		return sdk.Decision{}, err
	}
	for _, a := range v.GetAttributes() {
		env.Note(h.o.Link+"."+a.GetKey(), a.GetValue())
	}
	leaveOut(env, v.GetLeaveOut())
	if p := v.GetSetPriority(); p > 0 {
		env.Priority = sdk.Priority(p - 1)
	}
	if at := v.GetHoldUntilNanos(); at > 0 {
		env.Hold(time.Unix(0, at))
	}
	return h.decision(v), nil
}

// permitted returns what in a verdict the plugin may not do.
func (h *Hop) permitted(env *sdk.Envelope, v *pluginpb.Verdict) error {
	r := h.o.Rights
	lacks := func(right string) error {
		return &Error{FailRight, errors.New("its verdict needs " + right + ", which is not among the link's grants")}
	}
	switch {
	case v.GetVerdict() == uint32(sdk.Undecided):
		return stageError(v)
	case v.GetVerdict() == uint32(sdk.Drop) && !r.Drop:
		return lacks(VerdictDrop)
	case len(v.GetLeaveOut()) > 0 && !r.Audience:
		return lacks(AudienceRead)
	case v.GetSetPriority() > 0 && !r.Priority:
		return lacks(PriorityWrite)
	case v.GetSetPriority() > uint32(sdk.PriorityLow)+1:
		return breach("it set the priority %d, which there is not", v.GetSetPriority()-1)
	case v.GetHoldUntilNanos() != 0 && !r.Hold:
		return lacks(DeliveryHold)
	}
	if len(v.GetLeaveOut()) == 0 {
		return checkText(v)
	}
	audience, err := env.Audience(nil) //nolint:staticcheck // resolved when the view was made; nothing is waited for
	if len(v.GetLeaveOut()) > len(audience) {
		return breach("it left out %d recipients of %d", len(v.GetLeaveOut()), len(audience))
	}
	for _, i := range v.GetLeaveOut() {
		if err != nil || int(i) >= len(audience) {
			return breach("it left out recipient %d of %d", i, len(audience))
		}
	}
	return checkText(v)
}

// checkText returns what is wrong with the words of a verdict.
func checkText(v *pluginpb.Verdict) error {
	if !isWord(v.GetReason()) {
		return breach("its reason %q is no word of a to z, 0 to 9 and _", clip(v.GetReason(), maxReason))
	}
	return checkNotes(v.GetAttributes())
}

// isWord reports whether a reason can be a label of metrics and a code on the
// wire. None at all can.
func isWord(reason string) bool {
	for _, c := range []byte(reason) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(reason) <= maxReason
}

// stageError is the failure that the stage itself reports.
func stageError(v *pluginpb.Verdict) error {
	return &Error{FailStage, errors.New("it failed: " + clip(v.GetError(), maxErrorText))}
}

func checkNotes(notes []*pluginpb.Attribute) error {
	bytes := 0
	for _, a := range notes {
		if a.GetKey() == "" {
			return breach("it noted an attribute without a key")
		}
		bytes += len(a.GetKey()) + len(a.GetValue())
	}
	if len(notes) > maxNotes || bytes > maxNoteBytes {
		return breach("it noted %d attributes of %d bytes; at most %d of %d bytes go on an envelope",
			len(notes), bytes, maxNotes, maxNoteBytes)
	}
	return nil
}

func leaveOut(env *sdk.Envelope, indexes []uint32) {
	if len(indexes) == 0 {
		return
	}
	out := make(map[int]bool, len(indexes))
	for _, i := range indexes {
		out[int(i)] = true
	}
	i := -1
	env.Narrow(func(*sdk.Recipient) bool { i++; return !out[i] })
}

func (h *Hop) decision(v *pluginpb.Verdict) sdk.Decision {
	d := sdk.Decision{Verdict: sdk.Verdict(v.GetVerdict())}
	if d.Verdict == sdk.Continue {
		return d
	}
	d.Reason = h.reasons.known(sdk.Reason(v.GetReason()))
	if d.Text = clip(v.GetText(), maxText); d.Text == "" {
		d.Text = "the broker's stage " + h.o.Link + " does not let it pass"
	}
	d.RetryAfter = max(time.Duration(v.GetRetryAfterNanos()), 0)
	return d
}

// isOurs reports whether a word has an effect beyond the refusal: clients and the
// broker itself go by it, so a plugin cannot say it.
func isOurs(word sdk.Reason) bool {
	return slices.Contains([]sdk.Reason{
		sdk.ReasonNoHello, sdk.ReasonSecondHello, sdk.ReasonRevoked, sdk.ReasonHelloTimeout, sdk.ReasonShuttingDown,
		sdk.ReasonTooManyInvalid, sdk.ReasonStageFailed, sdk.ReasonUnanswered, sdk.ReasonUnknownType,
	}, word)
}

// reasons are the words that a plugin has used.
type reasons struct {
	mu   sync.Mutex
	seen map[sdk.Reason]bool
}

// known returns a word that is used already or is one of the first, and the
// common one for any other and for none.
func (r *reasons) known(word sdk.Reason) sdk.Reason {
	if word == "" || !isWord(string(word)) || isOurs(word) {
		return sdk.ReasonRefused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[word] {
		if len(r.seen) == maxReasons {
			return sdk.ReasonRefused
		}
		if r.seen == nil {
			r.seen = make(map[sdk.Reason]bool)
		}
		r.seen[sdk.Reason(strings.Clone(string(word)))] = true
	}
	return word
}

// clip shortens a text to at most n bytes of whole characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
