package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPlaceOnly reads data_dir of files with whatever is wrong behind it, and
// wants none where another one may be meant.
func TestPlaceOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "broker.yaml")
	for _, tt := range []struct{ name, text, want string }{
		{"it stands before a mistake", "data_dir: here\npipeline: [{stage: rou", filepath.Join(dir, "here")},
		{"it stands behind one", "lisen: 4\ndata_dir: /there # the disk\r\n\tx", "/there"},
		{"a comment does not count", "#data_dir: /a\n  # and data_dir\nlisten: [", "/home/ada/.local/share/claudemesh-broker"},
		{"a key in quotes", "\"data_dir\": /a\nlisten: [", ""},
		{"a file in braces", "{data_dir: /a, listen: [}", ""},
		{"two of them", "data_dir: /a\ndata_dir: /b\n", ""},
		{"a text over lines", "data_dir: >\n  /a\n", ""},
		{"one on the next line", "data_dir:\n  /a\n", ""},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		o, ok := PlaceOnly(Options{Environ: []string{"HOME=/home/ada", ConfigVariable + "=" + path}})
		if ok != (tt.want != "") {
			t.Errorf("%s: found %v", tt.name, ok)
		}
		if !ok {
			continue
		}
		l, err := Load(o)
		if err != nil || l.Config.DataDir != tt.want {
			t.Errorf("%s: %v, %+v, want %s", tt.name, err, l, tt.want)
		}
	}
	if _, ok := PlaceOnly(Options{Path: filepath.Join(dir, "gone")}); ok {
		t.Error("a file that is not there says where")
	}
	o, ok := PlaceOnly(Options{Path: filepath.Join(dir, "gone"), Overrides: map[string]string{"data_dir": "/flag"}})
	if l, err := Load(o); !ok || err != nil || l.Config.DataDir != "/flag" {
		t.Errorf("with --data-dir: %v, %v, %+v", ok, err, l)
	}
}
