package pluginhost

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of what a stage may say of its kinds.
const (
	maxReplies      = 8       // types that the answers of one kind may have
	maxRefusalBytes = 4 << 10 // of the fields of a refusal
)

// Kind is a type of request that a stage owns.
type Kind struct {
	Name       string   `json:"name"`
	Summary    string   `json:"summary,omitempty"`
	Replies    []string `json:"replies"`              // types of its answers
	Permission string   `json:"permission,omitempty"` // that the asking member needs
	Refusal    string   `json:"refusal,omitempty"`    // the type of a refusal; empty: an error

	refusal []byte // the other fields of a refusal
}

func kindsOf(list []*pluginpb.Kind) (kinds []Kind) {
	for _, k := range list {
		kinds = append(kinds, Kind{
			Name: k.GetName(), Summary: k.GetSummary(), Replies: k.GetReplies(), Permission: k.GetPermission(),
			Refusal: k.GetRefusal(), refusal: k.GetRefusalFields(),
		})
	}
	return kinds
}

// kindNames returns the names of the kinds that the stage owns.
func (i *Info) kindNames() (names []string) {
	for _, k := range i.Kinds {
		names = append(names, k.Name)
	}
	return names
}

// owned says what is wrong with the kinds of a link: those that the stage owns
// and was not granted, those that it was granted and does not own, and what the
// stage says of them.
func (i *Info) owned(link config.Link, taken func(kind, typ string) bool) (wrong []string) {
	if link.Plugin.Role != config.Owner {
		return nil
	}
	names := i.kindNames()
	if missing := without(names, link.Plugin.Kinds); len(missing) > 0 {
		wrong = append(wrong, fmt.Sprintf("the stage %s owns %s, which the link does not grant; to allow it, write in the link's plugin: kinds: [%s]",
			i.Name, strings.Join(missing, " and "), strings.Join(names, ", ")))
	}
	for _, kind := range without(link.Plugin.Kinds, names) {
		text := fmt.Sprintf("the stage %s does not own %s", i.Name, kind)
		if near := nearest.Of(kind, names); near != "" {
			text += fmt.Sprintf(" (did you mean %s?)", near)
		}
		wrong = append(wrong, text+": take it out of the link's plugin.kinds")
	}
	for _, k := range i.Kinds {
		if err := k.check(taken); err != nil {
			wrong = append(wrong, fmt.Sprintf("the kind %s of the stage %s: %v; tell the plugin's author", k.Name, i.Name, err))
		}
	}
	return wrong
}

var frameType = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ownWords are the types that peers take for the broker's own word, whoever asked
// for what; the host's Taken knows those of answers.
func ownWords() []string {
	return []string{
		"error", "hello_ack", "push", "state_change", "stream_data", "topic_message", "watch_triggered",
		"mcp_call_forward", "peer_file_request_forward", "peer_dir_request_forward", "peer_file_response_forward", "peer_dir_response_forward",
	}
}

// check says what is wrong with what a stage says of a kind. Taken may be nil.
func (k *Kind) check(taken func(kind, typ string) bool) error {
	switch {
	case !frameType.MatchString(k.Name):
		return fmt.Errorf("a name has a to z, 0 to 9 and _, at most 64")
	case len(k.Replies) == 0 || len(k.Replies) > maxReplies:
		return fmt.Errorf("it has %d types of answer; 1 to %d are possible", len(k.Replies), maxReplies)
	case k.Permission != "" && !slices.Contains(store.AllPermissions(), store.Permission(k.Permission)):
		return fmt.Errorf("there is no permission %q", k.Permission)
	case k.Refusal != "" && !slices.Contains(k.Replies, k.Refusal):
		return fmt.Errorf("its refusal has the type %q, which none of its answers has", k.Refusal)
	case k.Refusal != "" && len(k.refusal) > maxRefusalBytes:
		return fmt.Errorf("its refusal has %d bytes; at most %d are possible", len(k.refusal), maxRefusalBytes)
	}
	for _, r := range k.Replies {
		if !frameType.MatchString(r) || slices.Contains(ownWords(), r) || taken != nil && taken(k.Name, r) {
			return fmt.Errorf("an answer cannot have the type %q: it is no name, or a word of the broker's own", r)
		}
	}
	if k.Refusal != "" {
		return plainFields(k.refusal, "type", "_reqId", "error")
	}
	return nil
}

// plainFields says why bytes are not the fields of a frame: a JSON object in
// which no name comes twice, and some do not come at all.
func plainFields(b []byte, reserved ...string) error {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	if d.PeekKind() != '{' {
		return fmt.Errorf("its fields are no JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if slices.Contains(reserved, name.String()) {
			return fmt.Errorf("its fields have %q, which is the broker's", name.String())
		}
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("something stands behind its fields")
	}
	return nil
}
