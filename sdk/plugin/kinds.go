package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Asker is who sent a request. Without identity.read its sender has pseudonyms
// for keys, which change with the link and with every start of the broker, and no
// MemberID, Name or Remote. The mesh is always the real one.
type Asker struct {
	Kind    sdk.Kind
	Mesh    string
	Sender  sdk.Sender
	Size    int       // bytes of the frame
	Arrived time.Time // by the broker's clock
}

// Reply is the answer to a request: a struct whose JSON is the frame's fields.
type Reply interface {
	// FrameType returns what stands in "type". It is asked of the zero value too.
	FrameType() string
}

// Refusal is an error of a handler that refuses the request. Any other error
// says that the handler failed: it goes to the broker's log, and the peer is told
// to try again.
type Refusal struct {
	Reason string // a word of a-z, 0-9 and _: an error code, to be kept once released
	Text   string // what is wrong and what to do, in one sentence
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Text }

// Refuse returns a [Refusal].
func Refuse(reason, text string) error { return &Refusal{reason, text} }

// kind is one type of request that a stage answers.
type kind struct {
	name, summary, permission string
	replies                   []string
	refusal                   string
	refusalFields             []byte
	answer                    func(ctx context.Context, whole any, a Asker, fields []byte) (Reply, error)
}

// KindOption says one more thing about a kind.
type KindOption func(*kind)

// About is one line about the kind, for lists.
func About(text string) KindOption { return func(k *kind) { k.summary = text } }

// Permission is what the asking member needs in its mesh, such as canWriteState:
// the broker refuses others.
func Permission(name string) KindOption { return func(k *kind) { k.permission = name } }

// RefusedAs is the shape of a refusal of this kind, whoever refuses: the broker
// adds a field "error" with the reason and the text. Without it a refusal is a
// frame of type error, on which some clients end whatever request waits first.
func RefusedAs(r Reply) KindOption {
	return func(k *kind) {
		k.refusal, k.refusalFields = r.FrameType(), encode(r)
		k.mayReply(r.FrameType())
	}
}

func (k *kind) mayReply(typ string) {
	if !slices.Contains(k.replies, typ) {
		k.replies = append(k.replies, typ)
	}
}

var kindNames = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Answers makes the stage the owner of a type of request, once the operator has
// granted it: peers send such a frame, every stage of the chain judges it as any
// other, and then answer is called, a method expression of the stage's type:
//
//	plugin.Answers("note_put", (*Notes).Put, plugin.Permission("canWriteState"))
//
// The frame's fields are read into a Req by the names of its json tags; what does not fit is
// refused before answer is called. Any number of goroutines call it at once, those
// of one connection one after the other. It has to be done when ctx ends: nobody
// waits longer. A request that is sent again is asked again.
//
// Answers panics when the name is none: a mistake in the code.
func Answers[S any, Req any, Resp Reply](name string, answer func(S, context.Context, Asker, *Req) (Resp, error), more ...KindOption) Option {
	if !kindNames.MatchString(name) {
		panic(fmt.Sprintf("plugin: %q is no name of a kind; write words with _, as in note_put", name))
	}
	var zero Resp
	k := kind{name: name}
	k.mayReply(zero.FrameType())
	for _, option := range more {
		option(&k)
	}
	k.answer = func(ctx context.Context, whole any, a Asker, fields []byte) (Reply, error) {
		s, ok := whole.(S)
		if !ok {
			return nil, fmt.Errorf("the handler of %s is one of %v, and the stage is a %T", name, reflect.TypeFor[S](), whole)
		}
		req := new(Req)
		if err := json.Unmarshal(fields, req); err != nil {
			return nil, unfit(err)
		}
		return answer(s, ctx, a, req)
	}
	return func(s *Stage) { s.kinds = append(s.kinds, k) }
}

// unfit refuses fields that are not those of the request.
func unfit(err error) error {
	wrong, ok := errors.AsType[*json.SemanticError](err)
	if !ok || wrong.GoType == nil {
		return Refuse("invalid", "the fields cannot be read: "+err.Error())
	}
	path := strings.ReplaceAll(strings.TrimPrefix(string(wrong.JSONPointer), "/"), "/", ".")
	return Refuse("invalid", fmt.Sprintf("%s: want a %s", path, jsonWord(wrong.GoType)))
}

// jsonWord is what a Go type is to somebody who writes JSON.
func jsonWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Pointer:
		return jsonWord(t.Elem())
	default:
		return "whole number"
	}
}

// DefineOwner makes a kind of stage that judges nothing and answers requests:
// those of the [Answers] among its options. The rest is as with [Define].
func DefineOwner[O, S any](name string, defaults O, newStage func(O) (S, error), more ...Option) Stage {
	build := func(o O) (parts, error) {
		s, err := newStage(o)
		return parts{whole: s}, err
	}
	s := define(Stage{name: name}, defaults, build, more)
	if len(s.kinds) == 0 {
		panic(fmt.Sprintf("plugin: %s owns no kind; give it some with Answers", name))
	}
	return s
}

// kindsOf describes the kinds of a stage.
func kindsOf(list []kind) (described []*pluginpb.Kind) {
	for _, k := range list {
		described = append(described, &pluginpb.Kind{
			Name: k.name, Summary: k.summary, Permission: k.permission, Replies: k.replies,
			Refusal: k.refusal, RefusalFields: k.refusalFields,
		})
	}
	return described
}

// kindNames returns the names of the kinds of a stage.
func (s *Stage) kindNames() (names []string) {
	for _, k := range s.kinds {
		names = append(names, k.name)
	}
	return names
}

// kind returns what answers a type of request, nil when nothing does.
func (s *Stage) kind(name string) *kind {
	for i := range s.kinds {
		if s.kinds[i].name == name {
			return &s.kinds[i]
		}
	}
	return nil
}

// encodeReply returns a reply's fields as a JSON object.
func encodeReply(r Reply) ([]byte, error) {
	b, err := json.Marshal(r, json.Deterministic(true))
	if err == nil && !bytes.HasPrefix(b, []byte("{")) {
		err = fmt.Errorf("the reply %T is no JSON object", r)
	}
	return b, err
}
