package migrate

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestEmbedded(t *testing.T) {
	got, err := Embedded(fstest.MapFS{
		"0002_b.sql": {Data: []byte("b")}, "0001_a.sql": {Data: []byte("")}, "embed.go": {Data: []byte("x")},
	})
	want := []Migration{
		{Version: 1, Name: "0001_a.sql", SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{Version: 2, Name: "0002_b.sql", SHA256: "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, got (+), want (-):\n%s", err, diff)
	}
	if _, err := Embedded(fstest.MapFS{"first.sql": {}}); err == nil {
		t.Error("a file without a number is no error")
	}
}

func TestPending(t *testing.T) {
	list := func(names ...string) (l []Migration) {
		for i, name := range names {
			l = append(l, Migration{Version: int64(i + 1), Name: name, SHA256: name})
		}
		return l
	}
	other := list("a")
	other[0].Version = 7
	for name, tt := range map[string]struct {
		ours, theirs []Migration
		want         string // the names that are pending, or the error
	}{
		"a new store has all to apply":       {list("a", "b"), nil, "a b"},
		"an older store has the rest":        {list("a", "b"), list("a"), "b"},
		"a store of today has none":          {list("a", "b"), list("a", "b"), ""},
		"a newer store is refused":           {list("a"), list("a", "b"), "the store is newer than the program: it is at migration b, which this program does not have: use a newer program"},
		"a changed file is refused":          {list("a", "B"), list("a", "b"), "migration B was changed after this store applied it (SHA-256 then b…, now B…): restore the file, and put the change in a new one"},
		"another file in a place is refused": {list("a"), other, "the store applied migration a where this program has a"},
	} {
		t.Run(name, func(t *testing.T) {
			pending, err := Pending(tt.ours, tt.theirs)
			var names []string
			for _, m := range pending {
				names = append(names, m.Name)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
