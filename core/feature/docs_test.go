package feature

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
)

var update = flag.Bool("update", false, "write the documentation that is made from this package")

func TestDocumentation(t *testing.T) {
	tests := []struct {
		path string
		want []byte
	}{
		{"../../docs/messages.md", MessagesDoc(All(Deps{}), typeComments(t, "../wire"))},
		{"../../docs/errors.md", ErrorsDoc()},
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.path), func(t *testing.T) {
			if *update {
				if err := os.MkdirAll(filepath.Dir(tt.path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(tt.path, tt.want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(tt.path)
			if err != nil {
				t.Fatalf("%v: write it with go test ./core/feature -update", err)
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("it is not what the code says: refresh it with go test ./core/feature -update\n%s",
					cmp.Diff(string(got), string(tt.want)))
			}
		})
	}
}

// parseDir returns the files of a package without its tests.
func parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func typeComments(t *testing.T, dir string) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, f := range parseDir(t, dir) {
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				comments[spec.(*ast.TypeSpec).Name.Name] = gen.Doc.Text()
			}
		}
	}
	return comments
}

// constants returns the values of a package's text constants that have a type,
// or a name that begins with prefix.
func constants(t *testing.T, dir, typ, prefix string) []string {
	t.Helper()
	var values []string
	for _, f := range parseDir(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); typ != "" && (!ok || id.Name != typ) {
				return true
			}
			values = append(values, textOf(t, spec.Values[0])...)
			return true
		})
	}
	return values
}

// textOf returns the text of a literal, or nothing.
func textOf(t *testing.T, e ast.Expr) []string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return nil
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return []string{text}
}

// refused returns the codes that a package's handlers refuse with by their
// text.
func refused(t *testing.T, dir string) []string {
	t.Helper()
	var codes []string
	for _, f := range parseDir(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if fn, ok := call.Fun.(*ast.SelectorExpr); ok && fn.Sel.Name == "Refuse" {
					codes = append(codes, textOf(t, call.Args[0])...)
				}
			}
			return true
		})
	}
	return codes
}

func TestEveryReasonIsDocumented(t *testing.T) {
	want := constants(t, "../../sdk", "Reason", "")
	want = append(want, "method_not_allowed", "upgrade_required") // the server's
	for _, dir := range []string{".", "../api", "../caller", "../issue"} {
		want = append(want, refused(t, dir)...)
		want = append(want, constants(t, dir, "", "Reason")...)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var got []string
	for _, g := range reasons() {
		for _, r := range g.reasons {
			got = append(got, string(r.code))
		}
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reasons.go and the code do not have the same reasons, each once: %s", d)
	}
}

func TestEveryEventIsDocumented(t *testing.T) {
	want := constants(t, "../wire", "", "Event")
	var got []string
	for _, e := range events() {
		got = append(got, e.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	comments := typeComments(t, "../wire")
	for _, o := range All(Deps{}).Owners() {
		for _, typ := range []reflect.Type{o.Request, o.Reply} {
			if typ == nil {
				continue
			}
			if comments[typ.Name()] == "" {
				t.Errorf("%s has no doc comment", typ.Name())
			}
			for _, row := range fieldRows(typ, "", true) {
				if row.meaning == "" {
					t.Errorf("%s: %s has no doc tag", typ.Name(), row.name)
				}
			}
		}
	}
}

// Clients wait for these and no other answers; see each type's comment.
func TestEveryTypeHasItsAnswer(t *testing.T) {
	want := map[string]string{
		"hello": "hello_ack", "session_hello": "hello_ack", "send": "ack", "client_ack": "", "message_status": "message_status_result",
		"set_status": "", "set_summary": "", "set_stats": "", "set_visible": "ack", "set_profile": "ack",
		"join_group": "", "leave_group": "", "list_peers": "peers_list", "mesh_info": "mesh_info_result",
		"audit_query": "audit_result", "audit_verify": "audit_verify_result",
		"disconnect": "disconnect_ack", "kick": "kick_ack", "ban": "ban_ack", "unban": "unban_ack", "list_bans": "list_bans_result",
		"set_grants": "grants", "get_grants": "grants",
		"set_state": "", "get_state": "state_result", "list_state": "state_list",
		"remember": "memory_stored", "recall": "memory_results", "forget": "ack",
		"share_context": "context_shared", "get_context": "context_results", "list_contexts": "context_list",
		"create_task": "task_created", "claim_task": "task_list", "complete_task": "task_list", "list_tasks": "task_list",
		"set_clock": "clock_status", "pause_clock": "clock_status", "resume_clock": "clock_status", "get_clock": "clock_status",
		"watch": "watch_ack", "unwatch": "watch_ack", "watch_list": "watch_list_result",
		"create_webhook": "webhook_ack", "rotate_webhook": "webhook_ack", "delete_webhook": "webhook_ack", "list_webhooks": "webhook_list",
		"topic_create": "topic_created", "topic_list": "topic_list_response", "topic_join": "ack", "topic_leave": "ack",
		"topic_members": "topic_members_response", "topic_history": "topic_history_response", "topic_mark_read": "ack",
		"schedule": "scheduled_ack", "list_scheduled": "scheduled_list", "cancel_scheduled": "cancel_scheduled_ack",
		"create_stream": "stream_created", "subscribe": "subscribed", "unsubscribe": "", "publish": "", "list_streams": "stream_list",
		"get_file": "file_url", "list_files": "file_list", "file_status": "file_status_result", "delete_file": "ack",
		"grant_file_access": "grant_file_access_ok", "file_ticket": "file_ticket_result",
		"peer_file_request": "peer_file_response_forward", "peer_file_response": "", "peer_dir_request": "peer_dir_response_forward", "peer_dir_response": "",
		"mcp_register": "mcp_register_ack", "mcp_unregister": "", "mcp_list": "mcp_list_result", "mcp_call": "mcp_call_result", "mcp_call_response": "",
		"share_skill": "skill_ack", "remove_skill": "skill_ack", "get_skill": "skill_data", "list_skills": "skill_list",
		"apikey_create": "apikey_created", "apikey_list": "apikey_list_response", "apikey_revoke": "apikey_revoke_response",
		"mesh_query": "mesh_query_result", "mesh_execute": "mesh_query_result", "mesh_schema": "mesh_schema_result",
		"vault_set": "vault_ack", "vault_delete": "vault_ack", "vault_list": "vault_list_result", "vault_get": "vault_get_result",
	}
	got := map[string]string{}
	for _, o := range All(Deps{}).Owners() {
		got[o.Type] = ""
		if o.Reply != nil {
			got[o.Type] = frameType(o.Reply)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNobodyHasAnUnknownType(t *testing.T) {
	if o := All(Deps{}).Owner("no_such_type"); o != nil {
		t.Errorf("%+v owns it", o)
	}
	var env sdk.Envelope
	if _, err := All(Deps{}).Dispatch(t.Context(), &env); err == nil {
		t.Error("an envelope without a call is answered")
	}
}
