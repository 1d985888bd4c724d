package feature

import (
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// keyPrefix is the least that must be given of a key, in hex digits: enough
// that nobody is meant by chance.
const keyPrefix = 8

// target is whom an admin means, as typed: a display name in any case, a key,
// or the beginning of one. Anybody may take any display name, so a target is
// never guessed at: what could mean two keys is refused.
type target struct {
	name   string
	key    sdk.Key // zero unless a whole key was given
	prefix string  // of a key, in lower case; empty when it can be none
}

func parseTarget(text string) target {
	t := target{name: strings.TrimSpace(text)}
	if key, err := sdk.ParseKey(t.name); err == nil {
		t.key = key
		return t
	}
	if len(t.name) >= keyPrefix && len(t.name) < 2*sdk.KeySize && strings.Trim(t.name, "0123456789abcdefABCDEF") == "" {
		t.prefix = strings.ToLower(t.name)
	}
	return t
}

// empty reports whether the target says nothing.
func (t target) empty() bool { return t.name == "" }

// is reports whether a key was given whole.
func (t target) is(k sdk.Key) bool { return !t.key.IsZero() && k == t.key }

func (t target) names(name string) bool { return strings.EqualFold(t.name, name) }

func (t target) begins(k sdk.Key) bool {
	return t.prefix != "" && !k.IsZero() && strings.HasPrefix(k.String(), t.prefix)
}

// sessions returns the sessions that are meant: all with the name, or all
// behind the key.
func (t target) sessions(views []presence.View) ([]presence.View, error) {
	var whole, named, begun []presence.View
	var keys []sdk.Key
	for _, v := range views {
		if t.is(v.Member) || t.is(v.Key) {
			whole = append(whole, v)
		}
		if t.names(v.Name) {
			named = append(named, v)
		}
		if t.begins(v.Member) || t.begins(v.Key) {
			begun = append(begun, v)
		}
		for _, k := range []sdk.Key{v.Member, v.Key} {
			if t.begins(k) && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	switch {
	case whole != nil:
		return whole, nil
	case len(keys) > 1 || named != nil && begun != nil:
		return nil, errAmbiguous
	case named != nil:
		return named, nil
	default:
		return begun, nil
	}
}

// member returns the member that is meant, nil for none, by its own name or
// key or by those of a session of its that is here.
func (t target) member(members []*store.Member, views []presence.View) (*store.Member, error) {
	sessions := map[string]bool{} // members with a session that is meant
	for i := range views {
		if v := &views[i]; t.is(v.Key) || t.names(v.Name) || t.begins(v.Key) {
			sessions[v.MemberID] = true
		}
	}
	var found *store.Member
	for _, m := range members {
		switch {
		case t.is(m.Key):
			return m, nil
		case !sessions[m.ID] && !t.names(m.DisplayName) && !t.begins(m.Key):
		case found != nil:
			return nil, errAmbiguous
		default:
			found = m
		}
	}
	return found, nil
}

var errAmbiguous = core.Refuse(sdk.ReasonAmbiguous, "target: several peers are meant by it, give more of the key")
