package sdk

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxTarget is the longest target that [ParseTarget] reads, in bytes. The
// longest legal one is a group name of [MaxGroup] bytes behind its "@".
const MaxTarget = 256

// MaxGroup is the longest group name in bytes.
const MaxGroup = 128

// TargetKind says what form a target has.
type TargetKind uint8

// Target kinds. Values cross the plugin boundary: append only, never reorder.
const (
	TargetNone      TargetKind = iota // the kind of envelope has no target
	TargetKey                         // one member or one session, by public key
	TargetGroup                       // "@name": the sessions in a group or below it
	TargetBroadcast                   // "*" or "@all": every visible session of the mesh
	TargetTopic                       // "#topic"
)

// String returns the target kind in a word, for people.
func (k TargetKind) String() string {
	switch k {
	case TargetKey:
		return "key"
	case TargetGroup:
		return "group"
	case TargetBroadcast:
		return "broadcast"
	case TargetTopic:
		return "topic"
	default:
		return "none"
	}
}

// Errors of [ParseTarget]. Each says what to write instead.
var (
	ErrTarget = errors.New(`a target is a public key (64 hex digits), "@group", "#topic", or "*"`)
	ErrGroup  = errors.New("a group name has 1 to 128 bytes of printable UTF-8, " +
		`without spaces around it, "@", or empty parts between slashes`)
)

// Target is what the sender wrote to say whom it means, parsed once.
type Target struct {
	Kind TargetKind
	Key  Key    // set when Kind is TargetKey
	Name string // group or topic, without its mark
	Spec string // as the sender wrote it
}

// ParseTarget reads the targetSpec of a frame.
//
// A display name is no target: clients resolve names to keys, since only a key
// can be encrypted to.
func ParseTarget(spec string) (Target, error) {
	switch {
	case len(spec) > MaxTarget:
		return Target{}, ErrTarget
	case spec == "*" || spec == "@all":
		return Target{Kind: TargetBroadcast, Spec: spec}, nil
	case strings.HasPrefix(spec, "@"):
		name := spec[1:]
		if err := CheckGroup(name); err != nil {
			return Target{}, err
		}
		return Target{Kind: TargetGroup, Name: name, Spec: spec}, nil
	case strings.HasPrefix(spec, "#") && len(spec) > 1:
		return Target{Kind: TargetTopic, Name: spec[1:], Spec: spec}, nil
	}
	key, err := ParseKey(spec)
	if err != nil || key.IsZero() {
		return Target{}, ErrTarget
	}
	return Target{Kind: TargetKey, Key: key, Spec: spec}, nil
}

// CheckGroup returns [ErrGroup] for text that cannot name a group.
//
// Slashes make a hierarchy: a message to "a" also reaches "a/b". "all" is
// everybody and therefore no group.
func CheckGroup(name string) error {
	if name == "" || name == "all" || len(name) > MaxGroup || !utf8.ValidString(name) {
		return ErrGroup
	}
	if strings.TrimSpace(name) != name || strings.HasPrefix(name, "@") {
		return ErrGroup
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return ErrGroup
		}
	}
	if strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//") {
		return ErrGroup
	}
	return nil
}
