// Package transcript guesses what a coding client is doing from the transcripts
// that it keeps on this machine.
//
// A client writes a folder for each directory it works in, named after that
// directory, and there one file of JSON lines for each session. Whoever asks
// gives the directory, and may be anybody: nothing outside the folder of all
// transcripts is opened, each step reads a bounded amount, and whatever cannot
// be read counts as not there.
package transcript

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxCwd is the longest directory, in bytes, that is looked for. Its key is
	// one file name, which no system lets grow beyond 255 characters.
	maxCwd = 1024

	// maxFiles is how many entries of a folder are looked at to find the newest.
	maxFiles = 4096

	// tailBytes is how much of the end of a transcript is read.
	tailBytes = 8192
)

// Infer reports whether the client that works in the directory cwd is in the
// middle of a turn, by the transcripts below home. Found is false when nothing
// tells: there is no transcript, or its end holds no turn of the assistant.
func Infer(home, cwd string) (working, found bool) {
	names := keys(cwd)
	if home == "" || len(names) == 0 {
		return false, false
	}
	// A Root follows no link and no name out of its folder.
	projects, err := os.OpenRoot(filepath.Join(home, ".claude", "projects"))
	if err != nil {
		return false, false
	}
	defer projects.Close() //nolint:errcheck // only read
	for _, name := range names {
		if dir, err := projects.OpenRoot(name); err == nil {
			defer dir.Close() //nolint:errcheck // only read
			return lastTurn(tail(dir, newest(dir)))
		}
	}
	return false, false
}

// keys returns the names that the folder of a directory may have, the likeliest
// first; none when the directory is not one that a client can be in.
func keys(cwd string) []string {
	if cwd == "" || len(cwd) > maxCwd || strings.ContainsRune(cwd, 0) || climbs(cwd) {
		return nil
	}
	slash := strings.NewReplacer("/", "-")
	slashes := strings.NewReplacer("/", "-", `\`, "-")
	all := strings.NewReplacer("/", "-", `\`, "-", ":", "-")
	bases := []string{all.Replace(cwd), slash.Replace(cwd), slashes.Replace(cwd), slashes.Replace(withoutDrive(cwd))}
	var names []string
	for _, dash := range []string{"", "-"} {
		for _, base := range bases {
			if name := dash + base; oneName(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// climbs reports whether an element of a path is its parent.
func climbs(path string) bool {
	return slices.Contains(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }), "..")
}

// withoutDrive cuts the letter and colon that a path of Windows begins with.
func withoutDrive(path string) string {
	if len(path) >= 2 && path[1] == ':' && ('a' <= path[0]|0x20 && path[0]|0x20 <= 'z') {
		return path[2:]
	}
	return path
}

// oneName reports whether name is that of a file, without a folder, on the
// system we run on.
func oneName(name string) bool {
	return name != "." && filepath.IsLocal(name) && filepath.Base(name) == name
}

// newest returns the name of the transcript that was written last, empty when
// there is none.
func newest(dir *os.Root) string {
	folder, err := dir.Open(".")
	if err != nil {
		return ""
	}
	defer folder.Close()                   //nolint:errcheck // only read
	entries, _ := folder.ReadDir(maxFiles) // what could be read is as good as any
	var last fs.FileInfo
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".jsonl" || !e.Type().IsRegular() {
			continue
		}
		info, err := dir.Lstat(e.Name())
		if err == nil && (last == nil || info.ModTime().After(last.ModTime())) {
			last = info
		}
	}
	if last == nil {
		return ""
	}
	return last.Name()
}

// tail returns the end of a file.
func tail(dir *os.Root, name string) []byte {
	if name == "" {
		return nil
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	end := make([]byte, tailBytes)
	n, _ := f.ReadAt(end, max(0, info.Size()-tailBytes)) // a short file ends early
	return end[:n]
}

// line is what tells one line of a transcript from another.
type line struct {
	Type    string `json:"type"`
	Message struct {
		Content json.RawMessage `json:"content"` // text, or a list of elements
	} `json:"message"`
}

// lastTurn finds the assistant's last turn in the end of a transcript, and
// reports whether it waits for a tool. A first line that is cut off, and a last
// one that is being written, are no JSON and are passed over.
func lastTurn(end []byte) (working, found bool) {
	for len(end) > 0 {
		start := bytes.LastIndexByte(end, '\n') + 1
		var l line
		// A member of another type than we expect is left out, and the rest read.
		_ = json.Unmarshal(end[start:], &l)
		if l.Type == "assistant" {
			return usesTool(l.Message.Content), true
		}
		end = end[:max(0, start-1)]
	}
	return false, false
}

// usesTool reports whether a turn's content asks for a tool.
func usesTool(content []byte) bool {
	var elements []struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(content, &elements) // text has no elements
	for _, e := range elements {
		if e.Type == "tool_use" {
			return true
		}
	}
	return false
}
