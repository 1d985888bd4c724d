package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// quotedCommand is a command in the text of a page; shellBlock a block of lines to
// type.
var (
	quotedCommand = regexp.MustCompile("`broker ([^`]+)`")
	shellBlock    = regexp.MustCompile("(?s)```sh\n(.*?)\n```")
)

// commandsOf returns the command lines of a page: what stands behind broker.
func commandsOf(page string) (list []string) {
	for _, m := range quotedCommand.FindAllStringSubmatch(page, -1) {
		list = append(list, strings.Join(strings.Fields(m[1]), " "))
	}
	for _, m := range shellBlock.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(m[1]) {
			line, _, _ = strings.Cut(line, "#")
			if i := strings.Index(line, " /broker "); i >= 0 { // in a container
				line = line[i+2:]
			}
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "broker "); ok {
				list = append(list, strings.TrimSpace(rest))
			}
		}
	}
	return list
}

// wrongCommand says what is wrong with a command line, empty when the program
// takes it: its command, its flags, and as many words as it wants.
func wrongCommand(line string) string {
	p := &program{}
	root := p.root()
	root.InitDefaultHelpCmd()
	c, rest, err := root.Find(strings.Fields(line))
	switch {
	case err != nil:
		return err.Error()
	case c.HasSubCommands() && len(rest) > 0:
		return "there is no command " + rest[0]
	case c.HasSubCommands():
		return "no command, but a group of them"
	}
	if err := c.ParseFlags(rest); err != nil {
		return err.Error()
	}
	// The usage names the words that it wants in capitals.
	words := regexp.MustCompile(`\b[A-Z]{2,}\b`)
	if got, want := len(c.Flags().Args()), len(words.FindAllString(c.Use, -1)); want > 0 && got == 0 && !wordless(c) {
		return "it wants " + c.Use
	} else if want == 0 && got > 0 && !strings.Contains(c.Use, "[") {
		return "it takes no words: " + c.Use
	}
	return ""
}

// wordless reports whether a command may do without words.
func wordless(c *cobra.Command) bool {
	_, words, _ := strings.Cut(c.Use, " ")
	return strings.HasPrefix(words, "[")
}

// TestRunbookCommands wants every command that the pages for operators tell to
// type to be one: a wrong one is found at night.
func TestRunbookCommands(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../docs/runbook.md", "../../docs/observe.md"} {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list := commandsOf(string(page))
		slices.Sort(list)
		if len(list) < 5 {
			t.Errorf("%s: only %d commands were found", file, len(list))
		}
		for _, line := range slices.Compact(list) {
			if why := wrongCommand(line); why != "" {
				t.Errorf("%s: broker %s: %s", file, line, why)
			}
		}
	}
}

func TestWrongCommand(t *testing.T) {
	t.Parallel()
	page := "Type `broker chain`, `broker plugin status\nLINK` or\n```sh\nbroker health --ready    # a remark\ndocker exec x /broker mesh list\ndocker ps\n```\n"
	if got, want := commandsOf(page), []string{"chain", "plugin status LINK", "health --ready", "mesh list"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for line, want := range map[string]string{
		"chain": "", "plugin status LINK": "", "account legacy USER off": "", "health --ready --json": "",
		"chian": "no command chian", "plugin stat LINK": "no command stat", "health --redy": "unknown flag", "plugin status": "it wants",
		"chain now": "takes no words", "plugin": "group",
	} {
		if got := wrongCommand(line); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("broker %s: got %q, want %q", line, got, want)
		}
	}
}
