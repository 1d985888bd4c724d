package doctor

import (
	"os/exec"
	"strings"
	"testing"
)

// TestQuoted has a shell read what is printed for it.
func TestQuoted(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, path := range []string{
		"/var/lib/broker", "/a b", "/it's", "$(id)", "`id`", "-rf", "a;b", "a\x1b[2J\nok  x.key", "a\u202eb", "a'\\\x7f", "\xff", "é", "", "~", "#x",
	} {
		text := quoted(path)
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e || r == 0xfffd }) {
			t.Errorf("%q goes to the terminal", text)
		}
		got, err := exec.CommandContext(t.Context(), shell, "-c", "printf %s "+text).Output()
		if err != nil || string(got) != path {
			t.Errorf("%s is read as %q instead of %q (%v)", text, got, path, err)
		}
	}
	if quoted("/var/lib/broker-1.2") != "/var/lib/broker-1.2" || quoted("-rf") == "-rf" {
		t.Error("what is plain is left alone, and no option is")
	}
}

// TestNamesInFixes holds that a file's name cannot write on the terminal.
func TestNamesInFixes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.write("a\x1b[2J\nok x.key", 0o644)
	for _, f := range r.examine() {
		if strings.ContainsAny(f.Fix, "\x1b\n") {
			t.Errorf("%q", f.Fix)
		}
	}
	r.wants(Finding{CheckDataDir, Warn, "open to other users", `chmod 600 $'`})
}
