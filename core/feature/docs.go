package feature

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core/wire"
)

// event is news from the broker itself, for the documentation.
type event struct{ name, meaning, to string }

func events() []event {
	const others, all = "every other session of the mesh", "every session of other members"
	const toolUsers = "every other session of the mesh whose member and the host's accept each other's messages"
	return []event{
		{wire.EventPeerJoined, "a session is here. A hidden one is not announced",
			all + "; for a `session_hello` " + others},
		{wire.EventPeerReturned, "a member that was here before is back, by a plain `hello`", all},
		{wire.EventPeerLeft, "a session is over: it said goodbye, its grace time ran out, or somebody ended it", all},
		{wire.EventPeerVisible, "a session that was hidden shows itself", others},
		{wire.EventPeerHidden, "a session hides", others},
		{wire.EventMcpRegistered, "a session offers tools", toolUsers},
		{wire.EventMcpUnregistered, "it does not any more, or is over", toolUsers},
		{wire.EventMcpRestored, "a session that has offered tools is back, and offers them again", toolUsers + ", and itself"},
		{wire.EventTick, "the simulated clock of the mesh has gone on", "every session of the mesh"},
		{wire.EventWatchTriggered, "what a watch looks at is as the watch waits for", "every session of the member that watches"},
		{wire.EventProfileUpdated, "somebody edited the profile of the member", "every session of the member"},
	}
}

const messagesHead = `# Messages

<!-- Made from core/wire and core/feature. Change it there; refresh it with: go test ./core/feature -update -->

A frame is one JSON object in one WebSocket message, text or binary, with its type in ` + "`type`" + `. Names are
case-sensitive, a name may come only once in an object, unknown names are ignored, and a frame may nest %d levels deep.
Times are ISO 8601 in UTC with three decimals. Keys are 64 hex digits, which the broker always writes in lower case.

Every request may carry ` + "`_reqId`" + `, any JSON of at most %d bytes, which its answer repeats; ` + "`id`" + ` has the same limit.
The first frame of a connection is ` + "`hello` or `session_hello`" + `. Frames of one connection are worked on in the order in
which they came, and answered in that order. What is refused is answered in the shape of its type where the table
says so, else by an [` + "`error`" + `](#error); [errors.md](errors.md) lists the codes.

In the tables, *required* means that the broker refuses a frame without the field, *usual* that every known client
sends it, and *optional* that it may be left out; in a hello, what its proof needs may not. In answers, fields that are
not *always* there are left out, and are never null, when they do not apply.
`

// MessagesDoc returns docs/messages.md: every type of the registry with its
// fields and its answer. Comments are the doc comments of the wire package by
// the name of the type, which only its source has.
func MessagesDoc(r *Registry, comments map[string]string) []byte {
	d := &docs{comments: comments, anchors: map[string]string{"Refused": "[1008](errors.md#close-codes)"}}
	owners := slices.DeleteFunc(r.Owners(), func(o *Owner) bool {
		return strings.Contains(o.Type, ".") // over HTTP
	})
	answers := []reflect.Type{reflect.TypeFor[wire.Error]()}
	for _, o := range owners {
		d.name(o.Request)
		for _, t := range o.replies() {
			if !slices.Contains(answers, t) {
				answers = append(answers, t)
			}
		}
	}
	slices.SortFunc(answers, func(a, b reflect.Type) int { return strings.Compare(frameType(a), frameType(b)) })
	for _, t := range append(answers, reflect.TypeFor[wire.Push](), reflect.TypeFor[wire.StateChange](), reflect.TypeFor[wire.StreamData](),
		reflect.TypeFor[wire.PeerFileAsk](), reflect.TypeFor[wire.PeerDirAsk](), reflect.TypeFor[wire.McpCallForward]()) {
		d.name(t)
	}
	d.printf(messagesHead, wire.MaxDepth, wire.MaxEcho)
	d.index(owners)
	for _, o := range owners {
		d.request(o)
	}
	d.plugins()
	d.printf("\n## Answers\n")
	for _, t := range answers {
		d.section(t, false)
	}
	d.pushes()
	return d.b.Bytes()
}

// docs writes Markdown.
type docs struct {
	b        bytes.Buffer
	comments map[string]string
	anchors  map[string]string // Go name → link
}

func (d *docs) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

// frameType returns the type on the wire of a struct.
func frameType(t reflect.Type) string { return reflect.Zero(t).Interface().(wire.Frame).FrameType() }

// replies returns the types of an owner's answer: none, one, or one and its twin.
func (o *Owner) replies() []reflect.Type {
	if o.Reply == nil {
		return nil
	}
	if both, ok := reflect.TypeAssert[wire.Twofold](reflect.Zero(o.Reply)); ok {
		return []reflect.Type{o.Reply, reflect.TypeOf(both.Twin())}
	}
	return []reflect.Type{o.Reply}
}

func (d *docs) name(t reflect.Type) { d.anchors[t.Name()] = link(frameType(t)) }

func link(typ string) string { return "[`" + typ + "`](#" + typ + ")" }

func (d *docs) index(owners []*Owner) {
	d.printf("\n## Requests\n\n| type | answer | refused by | what it does |\n| --- | --- | --- | --- |\n")
	for _, o := range owners {
		answer, refusal := "none", link("error")
		for i, t := range o.replies() {
			if i == 0 {
				answer = link(frameType(t))
			} else {
				answer += " and " + link(frameType(t))
			}
		}
		if o.refuse != nil {
			refusal = "its answer"
		}
		d.printf("| %s | %s | %s | %s |\n", link(o.Type), answer, refusal, d.summary(o))
	}
}

// summary returns the first sentence about a request, without its subject.
func (d *docs) summary(o *Owner) string {
	text := strings.ReplaceAll(d.comment(o.Request), "\n", " ")
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(strings.TrimPrefix(first, "`"+o.Type+"` "), ".")
}

func (d *docs) request(o *Owner) {
	d.section(o.Request, true)
	if o.needs != "" {
		d.printf("\nIt needs the permission `%s`, else it is `forbidden`.\n", o.needs)
	}
}

// section describes one frame.
func (d *docs) section(t reflect.Type, request bool) {
	d.printf("\n### `%s`\n\n%s\n", frameType(t), d.comment(t))
	d.table(t, request)
}

func (d *docs) table(t reflect.Type, request bool) {
	rows := fieldRows(t, "", request)
	if len(rows) == 0 {
		d.printf("\nIt has no fields of its own.\n")
		return
	}
	d.printf("\n| field | form | given | meaning |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		d.printf("| `%s` | %s | %s | %s |\n", r.name, r.form, r.given, strings.ReplaceAll(r.meaning, "|", `\|`))
	}
}

func (d *docs) pushes() {
	d.printf("\n## Pushes\n\nWhat the broker sends unasked. A push is repeated until it is confirmed: by %s, or by the pong to a ping\n"+
		"that was written behind it.\n", link("client_ack"))
	d.section(reflect.TypeFor[wire.Push](), false)
	d.printf("\n### Events\n\nNews from the broker itself are pushes with `subtype` `system` and `senderPubkey` `system`. They are hints: nobody\n" +
		"confirms them, nothing keeps them for who is away, and a mesh that has too much news at once loses some of it. The\n" +
		"peer list tells the truth.\n\n| event | when | who gets it |\n| --- | --- | --- |\n")
	for _, e := range events() {
		d.printf("| `%s` | %s | %s |\n", e.name, e.meaning, e.to)
	}
	d.printf("\nThe `eventData` of those about peers:\n")
	d.table(reflect.TypeFor[wire.PeerEvent](), false)
	d.printf("\nThe `eventData` of those about tools:\n")
	d.table(reflect.TypeFor[wire.McpEvent](), false)
	d.printf("\nThe `eventData` of `%s`, what was set and nothing else:\n", wire.EventProfileUpdated)
	d.table(reflect.TypeFor[wire.ProfileChanges](), false)
	d.printf("\nThe `eventData` of `%s`:\n", wire.EventTick)
	d.table(reflect.TypeFor[wire.Tick](), false)
	d.printf("\nThe `eventData` of `%s`:\n", wire.EventWatchTriggered)
	d.table(reflect.TypeFor[wire.WatchTriggered](), false)
	d.section(reflect.TypeFor[wire.StateChange](), false)
	d.section(reflect.TypeFor[wire.StreamData](), false)
	d.section(reflect.TypeFor[wire.PeerFileAsk](), false)
	d.section(reflect.TypeFor[wire.PeerDirAsk](), false)
	d.section(reflect.TypeFor[wire.McpCallForward](), false)
}

var docLink = regexp.MustCompile(`\[(\w+)\]`)

// comment returns the doc comment of a type for somebody who sees frames and no
// Go.
func (d *docs) comment(t reflect.Type) string {
	text := strings.TrimSpace(d.comments[t.Name()])
	if rest, ok := strings.CutPrefix(text, t.Name()+" "); ok {
		text = "`" + frameType(t) + "` " + rest
	}
	return docLink.ReplaceAllStringFunc(text, func(s string) string {
		name := strings.Trim(s, "[]")
		if l, ok := d.anchors[name]; ok {
			return l
		}
		return name
	})
}
