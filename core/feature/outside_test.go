package feature

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// frameTypes returns every type that stands in the source of package wire.
func frameTypes(t *testing.T) (types []string) {
	t.Helper()
	files, err := filepath.Glob("../wire/*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`FrameType\(\) string\s*\{ return "([a-z_]+)" \}`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllSubmatch(source, -1) {
			types = append(types, string(m[1]))
		}
	}
	return types
}

// No plugin answers with a type of the broker's: what is not taken here is only
// ever pushed, and refused by the host of plugins itself.
func TestPluginsDoNotAnswerWithTypesOfTheBroker(t *testing.T) {
	reg := All(Deps{})
	pushed := []string{
		"error", "push", "state_change", "stream_data", "topic_message",
		"mcp_call_forward", "peer_file_request_forward", "peer_dir_request_forward", "peer_file_response_forward", "peer_dir_response_forward",
	}
	types := frameTypes(t)
	if len(types) < 150 {
		t.Fatalf("found %d types: %q", len(types), types)
	}
	for _, typ := range types {
		if !slices.Contains(pushed, typ) && !reg.Taken("note_put", typ) {
			t.Errorf("a plugin may answer with %s", typ)
		}
	}
	for _, tt := range []struct {
		kind, typ string
		want      bool
	}{
		{"vector_delete", "ack", false}, {"vector_store", "ack", true}, {"mcp_deploy", "mcp_deploy_status", false},
		{"graph_query", "graph_result", false}, {"note_put", "note_kept", false}, {"note_put", "get_state", true},
	} {
		if got := reg.Taken(tt.kind, tt.typ); got != tt.want {
			t.Errorf("an answer %s to %s: taken %v, want %v", tt.typ, tt.kind, got, tt.want)
		}
	}
}
