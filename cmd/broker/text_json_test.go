package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/refusals"
)

// TestJSONOnATerminal holds that a name which a peer chose cannot write on the
// terminal from JSON, and is the same name for who parses it.
func TestJSONOnATerminal(t *testing.T) {
	t.Parallel()
	const name = "a\u009b2J\u202eb\x7f\U000e0041<é>\n🙂"
	var lines, list bytes.Buffer
	w := &refusalWriter{out: &lines, asJSON: true}
	refused := []admin.Refusal{{Refusal: refusals.Refusal{Kind: "send", Name: name}}}
	if err := w.print(refused); err != nil {
		t.Fatal(err)
	}
	p := &program{streams: streams{out: &list}}
	if err := p.json(refused[0]); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{lines.String(), list.String()} {
		var back admin.Refusal
		if err := json.Unmarshal([]byte(text), &back); err != nil || back.Name != name {
			t.Errorf("%q (%v)", back.Name, err)
		}
		if strings.ContainsAny(text, "\u009b\u202e\x7f\U000e0041") || !strings.Contains(text, "<é>") || !strings.Contains(text, "🙂") {
			t.Errorf("%q", text)
		}
	}
	if strings.Count(lines.String(), "\n") != 1 {
		t.Errorf("more than a line: %q", lines.String())
	}
}
