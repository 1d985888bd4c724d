package feature

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// allowed returns what the row of a member says.
func (r *rig) allowed(member string) store.Grants {
	r.t.Helper()
	m, err := r.store.MemberByID(r.t.Context(), r.members[member].ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Grants
}

func TestSetGrants(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	ada, cy := keyOf("ada"), keyOf("cy")
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `%q:[],`, keyOf(fmt.Sprint(i)))
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	tests := []struct {
		name, grants, want string
		after              store.Grants
	}{
		{"it takes a list", fmt.Sprintf(`{"%s":["read","dm"]}`, ada), fmt.Sprintf(`{"type":"grants","_reqId":1,"grants":{"%s":["read","dm"]}}`, ada), store.Grants{ada: {"read", "dm"}}},
		{"it blocks by an empty list, and leaves others alone", fmt.Sprintf(`{"%s":[]}`, cy), `"type":"grants"`, store.Grants{ada: {"read", "dm"}, cy: {}}},
		{"it replaces a list, each capability once", fmt.Sprintf(`{"%s":["dm","broadcast","dm"]}`, ada), `"type":"grants"`, store.Grants{ada: {"dm", "broadcast"}, cy: {}}},
		{"it reads keys in either case", fmt.Sprintf(`{"%s":null}`, strings.ToUpper(cy.String())), `"type":"grants"`, store.Grants{ada: {"dm", "broadcast"}}},
		{"it removes by null", fmt.Sprintf(`{"%s":null}`, ada), `{"type":"grants","_reqId":1,"grants":{}}`, store.Grants{}},
		{"it takes nothing for no change", `{}`, `{"type":"grants","_reqId":1,"grants":{}}`, store.Grants{}},
		{"it refuses what is no key", `{"bo":["dm"]}`, `grants: \"bo\" is no key of a peer: want 64 hex digits`, store.Grants{}},
		{"it repeats no key that is cut short", fmt.Sprintf(`{"%.63s":["dm"]}`, ada), fmt.Sprintf(`"grants: \"%.8s\"… is no key`, ada), store.Grants{}},
		{"it repeats no token for a capability", fmt.Sprintf(`{"%s":["bearer s3cr3t"]}`, ada), `"grants: \"bearer s\"… is no capability`, store.Grants{}},
		{"it refuses an unknown capability", fmt.Sprintf(`{"%s":["dm","shout"]}`, ada), `\"shout\" is no capability: want read, dm, broadcast, state-read, state-write or file-read`, store.Grants{}},
		{"it refuses a text for a list", fmt.Sprintf(`{"%s":"dm"}`, ada), `want a list`, store.Grants{}},
		{"it refuses a number in a list", fmt.Sprintf(`{"%s":[7]}`, ada), `[0]: want a string`, store.Grants{}},
		{"it refuses a list of edits", `["dm"]`, `"grants: want an object"`, store.Grants{}},
		{"it refuses no edits", `null`, `"grants: is required: want an object"`, store.Grants{}},
		{"it refuses one key in two spellings", fmt.Sprintf(`{"%s":[],"%s":null}`, ada, strings.ToUpper(ada.String())), fmt.Sprintf(`the key \"%.8s\"… comes twice`, ada), store.Grants{}},
		{"it refuses one key too many", `{` + many(maxGrantEdits+1) + `}`, `at most 256 keys in one request`, store.Grants{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := bo.ask(`{"type":"set_grants","_reqId":1,"grants":` + tt.grants + `}`)
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if d := cmp.Diff(tt.after, r.allowed("bo")); d != "" && len(r.allowed("bo"))+len(tt.after) > 0 {
				t.Error(d)
			}
			refused := strings.Contains(got, `"type":"error"`)
			if quiet := refused || tt.grants == `{}`; quiet != (len(records) == 0) {
				t.Errorf("it leaves the records %q", recorded(records))
			}
		})
	}
	_, records := bo.ask(fmt.Sprintf(`{"type":"set_grants","grants":{"%s":[]}}`, ada))
	wantList(t, "records", recorded(records), []string{`grants_changed {"peers":["` + ada.String() + `"]}`})
	got, _ := bo.ask(`{"type":"get_grants","_reqId":"g"}`)
	wantText(t, got, fmt.Sprintf(`{"type":"grants","_reqId":"g","grants":{"%s":[]}}`, ada))
}

// A member can have so many entries, and then still take some back.
func TestGrantsAreLimited(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	ask := func(from, to int, value string) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `,"%s":%s`, keyOf(fmt.Sprint(i)), value)
		}
		got, _ := bo.ask(`{"type":"set_grants","grants":{` + strings.TrimPrefix(b.String(), ",") + `}}`)
		return got
	}
	for i := 0; i < maxGrants; i += 250 {
		if got := ask(i, i+250, `["dm"]`); !strings.Contains(got, `"type":"grants"`) {
			t.Fatal(got)
		}
	}
	if got := ask(maxGrants, maxGrants+1, `[]`); !strings.Contains(got, "1000 entries at most") {
		t.Errorf("one entry too many: %s", got)
	}
	if got := ask(0, 1, `[]`); !strings.Contains(got, `"type":"grants"`) {
		t.Errorf("an entry that was there: %s", got)
	}
	if got := ask(0, 1, `null`); !strings.Contains(got, `"type":"grants"`) {
		t.Errorf("one entry less: %s", got)
	}
	if got := ask(maxGrants, maxGrants+1, `[]`); !strings.Contains(got, `"type":"grants"`) {
		t.Errorf("one in its place: %s", got)
	}
}

// Edits that come at once do not undo each other.
func TestGrantsAreMerged(t *testing.T) {
	r := newRig(t)
	book := NewGrantBook(r.store, r.roster)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			call := &Call{Env: &sdk.Envelope{Mesh: r.mesh.ID}}
			allow := []string{"dm"}
			edits := wire.GrantEdits{keyOf(fmt.Sprint(i)).String(): &allow}
			if _, err := book.Edit(t.Context(), call, r.members["bo"], edits); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(r.allowed("bo")); n != 20 {
		t.Errorf("%d entries of 20 are left", n)
	}
}

// Members of one account are one person: a block holds at all of them, and at
// nobody else.
func TestGrantsHoldForAnAccount(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"bo", "cy"} {
		r.belongs(name, "someone")
	}
	bo := r.join("bo")
	if got, _ := bo.ask(fmt.Sprintf(`{"type":"set_grants","grants":{"%s":[]}}`, keyOf("ada"))); !strings.Contains(got, `"type":"grants"`) {
		t.Fatal(got)
	}
	blocked := store.Grants{keyOf("ada"): {}}
	for name, want := range map[string]store.Grants{"bo": blocked, "cy": blocked, "gil": nil, "ada": nil} {
		if got := r.allowed(name); len(got)+len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("%s allows %v, want %v", name, got, want)
		}
		if m, err := r.roster.MemberByID(t.Context(), r.members[name].ID); err != nil || len(m.Grants) != len(want) {
			t.Errorf("%s is remembered as before: %v, %v", name, m.Grants, err)
		}
	}
}

// belongs puts an account behind a member.
func (r *rig) belongs(member, account string) {
	r.t.Helper()
	err := r.store.CreateAccount(r.t.Context(), &store.Account{ID: account, CreatedAt: time.Now()})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		r.t.Fatal(err)
	}
	r.edit(member, func(m *store.Member) { m.AccountID = account })
}

// edit changes a member's row.
func (r *rig) edit(member string, change func(*store.Member)) {
	r.t.Helper()
	id := r.members[member].ID
	if _, err := r.store.ChangeMember(r.t.Context(), id, func(m *store.Member) error { change(m); return nil }); err != nil {
		r.t.Fatal(err)
	}
	r.roster.Forget(id)
}

// editMesh changes the mesh's row.
func (r *rig) editMesh(change func(*store.Mesh)) {
	r.t.Helper()
	if _, err := r.store.ChangeMesh(r.t.Context(), r.mesh.ID, func(m *store.Mesh) error { change(m); return nil }); err != nil {
		r.t.Fatal(err)
	}
	r.roster.ForgetMesh(r.mesh.ID)
}

// A member that was revoked a moment ago says nothing any more.
func TestGrantsOfARevokedMember(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	if err := r.store.SetRevoked(t.Context(), r.members["bo"].ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, records := bo.ask(fmt.Sprintf(`{"type":"set_grants","_reqId":1,"grants":{"%s":[]}}`, keyOf("ada")))
	if !strings.Contains(got, `"code":"forbidden"`) || len(records) > 0 || len(r.allowed("bo")) > 0 {
		t.Errorf("got %s", got)
	}
}

func TestGrantsWithoutAStore(t *testing.T) {
	r := newRig(t)
	away := errors.New("away")
	reg := NewRegistry()
	Grants(reg, brokenGrants{err: away}, r.roster)
	bo := r.join("bo")
	got, _ := bo.askOf(reg, fmt.Sprintf(`{"type":"set_grants","_reqId":1,"grants":{"%s":[]}}`, keyOf("ada")))
	if !strings.Contains(got, `"code":"unavailable"`) || strings.Contains(got, "away:") {
		t.Errorf("got %s", got)
	}
}

// brokenGrants is a store that does not answer.
type brokenGrants struct{ err error }

func (b brokenGrants) ListMembers(context.Context, string) ([]*store.Member, error) {
	return nil, b.err
}

func (b brokenGrants) ChangeMember(context.Context, string, func(*store.Member) error) (*store.Member, error) {
	return nil, b.err
}
