// Package frames_test holds the golden frames of the plugin protocol to the
// generated code. README.md says what the files are for.
package frames_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

var update = flag.Bool("update", false, "rewrite the golden frames")

// message is what the generator makes of a message.
type message interface {
	proto.Message
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
}

// file is one golden frame as it stands in its file.
type file struct {
	About   string          `json:"about"`
	Call    string          `json:"call"`
	Message string          `json:"message"`
	JSON    json.RawMessage `json:"json"`
	Hex     []string        `json:"hex"` // to be joined
	Ignored string          `json:"ignored,omitempty"`
}

func TestFrames(t *testing.T) {
	names := make(map[string]bool)
	for _, f := range frames() {
		t.Run(f.name, func(t *testing.T) {
			name := f.name + ".json"
			if names[name] {
				t.Fatal("there are two of this name")
			}
			names[name] = true
			want := text(t, f)
			if *update {
				if err := os.WriteFile(name, want, 0o644); err != nil { //nolint:gosec // a document
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("%v; go test ./docs/plugin-frames -update writes it", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what the code makes; go test ./docs/plugin-frames -update rewrites it\ngot\n%s\nwant\n%s", name, got, want)
			}
			reads(t, f, got)
		})
	}
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !names[name] {
			t.Errorf("%s belongs to no frame: remove it", name)
		}
	}
}

// text is what the file of a frame has to be. Both encoders have to agree.
func text(t *testing.T, f frame) []byte {
	t.Helper()
	generated, err := f.message.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	usual, err := proto.MarshalOptions{Deterministic: true}.Marshal(f.message)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(generated, usual) {
		t.Errorf("the generated code writes %x, the protobuf library %x", generated, usual)
	}
	generated = append(generated, f.extra...)
	shown, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(f.message)
	if err != nil {
		t.Fatal(err)
	}
	out := file{
		About: f.about, Call: f.call, Message: string(f.message.ProtoReflect().Descriptor().Name()),
		JSON: shown, Hex: []string{}, Ignored: f.ignored,
	}
	for line := range slices.Chunk(generated, 32) {
		out.Hex = append(out.Hex, hex.EncodeToString(line))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ") // also of what protojson writes, whose spaces vary
	if err := e.Encode(out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reads checks that a reader of the bytes, and one of the JSON, get the message.
func reads(t *testing.T, f frame, text []byte) {
	t.Helper()
	var in file
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(in.Hex, ""))
	if err != nil {
		t.Fatal(err)
	}
	empty := func() message { return f.message.ProtoReflect().New().Interface().(message) }
	generated, usual, shown := empty(), empty(), empty()
	if err := errors.Join(generated.UnmarshalVT(raw), proto.Unmarshal(raw, usual), protojson.Unmarshal(in.JSON, shown)); err != nil {
		t.Fatal(err)
	}
	for who, got := range map[string]message{"the generated code": generated, "the protobuf library": usual, "the JSON": shown} {
		got.ProtoReflect().SetUnknown(nil)
		if !proto.Equal(got, f.message) {
			t.Errorf("%s reads %v, want %v", who, got, f.message)
		}
	}
}

// TestEveryFieldIsInAFrame also finds a field that is added to the protocol.
func TestEveryFieldIsInAFrame(t *testing.T) {
	seen := make(map[protoreflect.FullName]bool)
	var note func(m protoreflect.Message)
	note = func(m protoreflect.Message) {
		seen[m.Descriptor().FullName()] = true
		m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			seen[d.FullName()] = true
			switch {
			case d.Message() == nil:
			case d.IsList():
				for i := range v.List().Len() {
					note(v.List().Get(i).Message())
				}
			default:
				note(v.Message())
			}
			return true
		})
	}
	for _, f := range frames() {
		note(f.message.ProtoReflect())
	}
	messages := pluginpb.File_plugin_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		if !seen[m.FullName()] {
			t.Errorf("no frame has the message %s", m.Name())
		}
		for j := range m.Fields().Len() {
			if d := m.Fields().Get(j); !seen[d.FullName()] {
				t.Errorf("no frame has the field %s.%s", m.Name(), d.Name())
			}
		}
	}
}

// TestReadmeListsEveryFrame keeps the table of README.md.
func TestReadmeListsEveryFrame(t *testing.T) {
	readme := read(t, "README.md")
	for _, f := range frames() {
		if !strings.Contains(readme, fmt.Sprintf("| [%s](%s.json) |", f.name, f.name)) {
			t.Errorf("README.md does not list %s", f.name)
		}
	}
}

// TestLinks follows the links of the documents of plugins, to files and to
// headings.
func TestLinks(t *testing.T) {
	for _, page := range []string{"README.md", "../plugins.md", "../plugin-protocol.md"} {
		for _, part := range strings.Split(read(t, page), "](")[1:] {
			link, _, _ := strings.Cut(part, ")")
			to, heading, _ := strings.Cut(link, "#")
			if strings.Contains(link, "://") {
				continue
			}
			target := page
			if to != "" {
				target = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: nothing is at %s", page, to)
			} else if heading != "" && !slices.Contains(headings(read(t, target)), heading) {
				t.Errorf("%s: %s has no heading #%s", page, target, heading)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// headings returns the names by which links find a page's headings.
func headings(page string) (names []string) {
	for line := range strings.Lines(page) {
		title, found := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !found || !strings.HasPrefix(line, "#") {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return names
}

// unknown is a field of a version to come: number 200, a text.
func unknown() []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 200, protowire.BytesType), "from a version to come")
}
