package transcript

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	tool  = `{"type":"assistant","message":{"content":[{"type":"text","text":"on it"},{"type":"tool_use","name":"Bash"}]}}` + "\n"
	said  = `{"type":"assistant","message":{"content":[{"type":"text","text":"done"}]}}` + "\n"
	asked = `{"type":"user","message":{"content":"{\"type\":\"assistant\"} tool_use"}}` + "\n"
)

// home is a home directory with a folder for all transcripts.
type home struct {
	t    *testing.T
	path string
}

func newHome(t *testing.T) home {
	t.Helper()
	h := home{t, t.TempDir()}
	h.folder(".claude/projects")
	return h
}

// folder makes a folder below the home.
func (h home) folder(name string) string {
	h.t.Helper()
	path := filepath.Join(h.path, filepath.FromSlash(name))
	if err := os.MkdirAll(path, 0o755); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// write makes a file, as old as age, and the folders above it.
func (h home) write(name, text string, age time.Duration) {
	h.t.Helper()
	path := filepath.Join(h.folder(filepath.ToSlash(filepath.Dir(name))), filepath.Base(name))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		h.t.Fatal(err)
	}
}

// transcript makes the file that a session in /src/app writes.
func (h home) transcript(text string) { h.write(".claude/projects/-src-app/a.jsonl", text, 0) }

func (h home) want(cwd string, working, found bool) {
	h.t.Helper()
	gotWorking, gotFound := Infer(h.path, cwd)
	if gotWorking != working || gotFound != found {
		h.t.Errorf("%.80q: got working %v, found %v, want %v, %v", cwd, gotWorking, gotFound, working, found)
	}
}

func TestLastTurnDecides(t *testing.T) {
	long := asked[:len(asked)-4] + strings.Repeat("x", tailBytes) + "\"}}\n"
	tests := []struct {
		name, text     string
		working, found bool
	}{
		{"is working while a tool runs", said + asked + tool, true, true},
		{"is working while a tool's answer is the last line", said + tool + asked, true, true},
		{"is idle after a turn of text", tool + asked + said, false, true},
		{"is idle when the content is a text", tool + `{"type":"assistant","message":{"content":"tool_use"}}`, false, true},
		{"is idle when there is no content", tool + `{"type":"assistant"}`, false, true},
		{"is idle when the message is no object", tool + `{"type":"assistant","message":"tool_use"}`, false, true},
		{"reads past elements that are none", `{"type":"assistant","message":{"content":[1,{"type":"tool_use"}]}}`, true, true},
		{"needs no newline at the end", said + strings.TrimSpace(tool), true, true},
		{"reads lines that end like those of Windows", strings.ReplaceAll(said+tool+"\n\n", "\n", "\r\n"), true, true},
		{"passes over a line that is being written", tool + said[:len(said)-9], true, true},
		{"passes over lines that are no object", tool + "null\n7\n[]\n\"assistant\"\n{}\n", true, true},
		{"does not care how long the file is", strings.Repeat(tool, 1000) + said, false, true},
		{"does not know when nothing was answered", asked, false, false},
		{"does not know when the file is empty", "", false, false},
		{"does not know when the turn is too far up", tool + long, false, false},
		{"does not know when the turn itself is too long", strings.Replace(tool, "on it", strings.Repeat("x", tailBytes), 1), false, false},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			h := newHome(t)
			h.transcript(tt.text)
			h.want("/src/app", tt.working, tt.found)
		})
	}
}

func TestNewestTranscriptDecides(t *testing.T) {
	h := newHome(t)
	h.want("/src/app", false, false)
	h.folder(".claude/projects/-src-app")
	h.want("/src/app", false, false)
	h.write(".claude/projects/-src-app/b.jsonl", tool, time.Minute)
	h.write(".claude/projects/-src-app/a.jsonl", said, time.Hour)
	h.write(".claude/projects/-src-app/c.jsonl", said, 2*time.Hour)
	h.write(".claude/projects/-src-app/notes.txt", said, 0)
	h.folder(".claude/projects/-src-app/d.jsonl")
	h.want("/src/app", true, true)
	h.want("/src/apple", false, false)
}

func TestFirstFolderWins(t *testing.T) {
	h := newHome(t)
	const cwd = `c:/work\app`
	var folders []string
	for _, name := range keys(cwd) {
		if runtime.GOOS != "windows" || !strings.ContainsAny(name, `\:`) {
			folders = append(folders, name)
		}
	}
	for i, name := range slices.Backward(folders) {
		working := i%2 == 0
		h.write(".claude/projects/"+name+"/a.jsonl", map[bool]string{true: tool, false: said}[working], 0)
		h.want(cwd, working, true)
	}
	h = newHome(t)
	h.folder(".claude/projects/-work")
	h.write(".claude/projects/--work/a.jsonl", tool, 0)
	h.want("/work", false, false) // the first that exists, not the first that has something
}

func TestKeys(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("names with a backslash are none here")
	}
	tests := []struct {
		name, cwd string
		want      []string
	}{
		{"names a path of Unix", "/src/app", []string{"-src-app", "--src-app"}},
		{"keeps dots in a name", "/src/a..b/.c", []string{"-src-a..b-.c", "--src-a..b-.c"}},
		{
			"names a path of Windows in every way", `C:\src/app`,
			[]string{"C--src-app", `C:\src-app`, "C:-src-app", "-src-app", "-C--src-app", `-C:\src-app`, "-C:-src-app", "--src-app"},
		},
		{"cuts no drive but a letter", "1:a", []string{"1-a", "1:a", "-1-a", "-1:a"}},
		{"gives the folder of all transcripts another name", ".", []string{"-."}},
		{"refuses nothing", "", nil},
		{"refuses the parent", "..", nil},
		{"refuses a parent on the way", "/src/../app", nil},
		{"refuses a parent on the way in Windows", `C:\src\..\app`, nil},
		{"refuses a zero byte", "/work\x00/app", nil},
		{"refuses what is too long", strings.Repeat("/", maxCwd+1), nil},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, keys(tt.cwd)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Whatever a client says, and wherever links point, nothing outside the folder
// is read.
func TestNothingOutsideIsRead(t *testing.T) {
	h := newHome(t)
	h.write("outside/a.jsonl", tool, 0)
	h.write(".claude/a.jsonl", tool, 0)
	h.write(".claude/projects/a.jsonl", tool, 0)
	h.write(".claude/projects/-file", tool, 0)
	h.folder(".claude/projects/-linked")
	for link, to := range map[string]string{
		"-escape":          filepath.Join(h.path, "outside"),
		"-climb":           "../../outside",
		"-self":            "-self",
		"-linked/a.jsonl":  filepath.Join(h.path, "outside", "a.jsonl"),
		"-linked/b.jsonl":  "../../../outside/a.jsonl",
		"-linked/no.jsonl": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(h.path, ".claude", "projects", filepath.FromSlash(link))); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	for _, cwd := range []string{
		"", ".", "..", "/", "-", "../outside", "/../outside", `..\outside`, filepath.Join(h.path, "outside"),
		"/escape", "/climb", "/self", "/linked", "/file", "/file/", "/escape\x00", strings.Repeat("/a", maxCwd),
	} {
		h.want(cwd, false, false)
	}
	if working, found := Infer("", "/work"); working || found {
		t.Error("something was found without a home")
	}
	if working, found := Infer(filepath.Join(h.path, "gone"), "/work"); working || found {
		t.Error("something was found in a home that is not there")
	}
}

// FuzzLastTurn: no file makes the scanner panic, and what it finds is what
// reading every line from the start finds.
func FuzzLastTurn(f *testing.F) {
	for _, seed := range []string{"", "\n", tool, said, asked, tool + said, said + tool + asked, tool + said[:20], "\n\n" + tool + "\r\n", "{\"Type\":\"assistant\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, end []byte) {
		var working, found bool
		for l := range bytes.SplitSeq(end, []byte("\n")) {
			var parsed line
			_ = json.Unmarshal(l, &parsed)
			if parsed.Type == "assistant" {
				working, found = usesTool(parsed.Message.Content), true
			}
		}
		if gotWorking, gotFound := lastTurn(end); gotWorking != working || gotFound != found {
			t.Errorf("got working %v, found %v, want %v, %v", gotWorking, gotFound, working, found)
		}
	})
}
