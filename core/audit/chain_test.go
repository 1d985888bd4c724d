package audit

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHashVectors(t *testing.T) {
	all := loadVectors(t)
	if all.Genesis != Genesis {
		t.Errorf("got genesis %q, want %q", Genesis, all.Genesis)
	}
	for _, c := range all.Chains {
		for _, r := range c.Rows {
			if r.HashInput == "" {
				continue // an edited row has none
			}
			if got := r.entry(t, c.MeshID).ComputeHash(); got != r.Hash {
				t.Errorf("%s row %d: got %s, want %s, the hash of %s", c.Name, r.ID, got, r.Hash, r.HashInput)
			}
		}
	}
}

func TestVerifyVectors(t *testing.T) {
	for _, c := range loadVectors(t).Chains {
		t.Run(c.Name, func(t *testing.T) {
			v := NewVerifier(c.MeshID)
			for _, r := range c.Rows {
				v.Add(r.entry(t, c.MeshID))
			}
			got := v.Finish(nil)
			want := Result{Valid: c.Expect.Valid, Entries: c.Expect.Entries, BrokenAt: c.Expect.BrokenAt, Why: got.Why}
			if got != want || got.Valid != (got.Why == "") {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestAppendVectors links the vectors' rows anew and expects their hashes.
func TestAppendVectors(t *testing.T) {
	for _, c := range loadVectors(t).Chains[:2] {
		t.Run(c.Name, func(t *testing.T) {
			var want, entries []*Entry
			for _, r := range c.Rows {
				want = append(want, r.entry(t, c.MeshID))
				e := r.entry(t, c.MeshID)
				e.MeshID, e.PrevHash, e.Hash = "", "", ""
				e.CreatedAt = e.CreatedAt.Add(999 * time.Microsecond).In(time.FixedZone("", 3600))
				entries = append(entries, e)
			}
			head := Head{MeshID: c.MeshID}
			if err := errors.Join(Append(&head, entries[:1]), Append(&head, nil), Append(&head, entries[1:])); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			last := c.Rows[len(c.Rows)-1]
			wantHead := Head{MeshID: c.MeshID, Hash: last.Hash, Count: int64(len(c.Rows)), LastID: last.ID}
			if head != wantHead {
				t.Errorf("got head %+v, want %+v", head, wantHead)
			}
		})
	}
}

func TestAppendRefusesAnotherMesh(t *testing.T) {
	head := Head{MeshID: "m"}
	entries := []*Entry{{}, {MeshID: "other"}}
	if err := Append(&head, entries); !errors.Is(err, ErrMesh) {
		t.Errorf("got error %v, want %v", err, ErrMesh)
	}
	if head != (Head{MeshID: "m"}) || entries[0].Hash != "" {
		t.Errorf("got head %+v and entry %+v, want both untouched", head, entries[0])
	}
}

func TestAppendFillsAnEmptyPayload(t *testing.T) {
	head := Head{MeshID: "m"}
	e := &Entry{EventType: "peer_left", CreatedAt: time.Unix(0, 0)}
	if err := Append(&head, []*Entry{e}); err != nil || string(e.Payload) != "{}" {
		t.Errorf("got payload %s, %v, want {}", e.Payload, err)
	}
}

// makeChain returns n rows with ids 10, 20, … and their head.
func makeChain(tb testing.TB, n int) ([]*Entry, Head) {
	tb.Helper()
	rows := make([]*Entry, n)
	for i := range rows {
		rows[i] = &Entry{
			ID: int64(i+1) * 10, EventType: "message_sent", ActorMemberID: "memA",
			Payload:   Object(String("targetSpec", fmt.Sprint("@g", i)), String("priority", "next")),
			CreatedAt: time.UnixMilli(1776254400000 + int64(i)),
		}
	}
	head := Head{MeshID: "m"}
	if err := Append(&head, rows); err != nil {
		tb.Fatal(err)
	}
	return rows, head
}

func TestVerify(t *testing.T) {
	type change func(rows []*Entry, head *Head) ([]*Entry, *Head)
	rehash := func(rows []*Entry, from int) {
		for i := from; i < len(rows); i++ {
			if i > 0 {
				rows[i].PrevHash = rows[i-1].Hash
			}
			rows[i].Hash = rows[i].ComputeHash()
		}
	}
	tests := []struct {
		name   string
		change change
		want   Result
	}{
		{
			"accepts what Append made",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { return rows, head },
			Result{Valid: true, Entries: 5},
		},
		{
			"accepts a head without ids",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { head.LastID = 0; return rows, head },
			Result{Valid: true, Entries: 5},
		},
		{
			"accepts an empty chain and its head",
			func([]*Entry, *Head) ([]*Entry, *Head) { return nil, &Head{MeshID: "m"} },
			Result{Valid: true},
		},
		{
			"does not see a display name, which is not hashed",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[1].ActorName = "Eve"; return rows, head },
			Result{Valid: true, Entries: 5},
		},
		{
			"finds an edited payload",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[2].Payload = []byte("{}"); return rows, head },
			Result{Entries: 5, BrokenAt: 30, Why: WhyHash},
		},
		{
			"finds an edited actor",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[0].ActorMemberID = "memB"; return rows, head },
			Result{Entries: 5, BrokenAt: 10, Why: WhyHash},
		},
		{
			"finds an edited time",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				rows[4].CreatedAt = rows[4].CreatedAt.Add(time.Millisecond)
				return rows, head
			},
			Result{Entries: 5, BrokenAt: 50, Why: WhyHash},
		},
		{
			"finds an edited row with a new hash at the row behind it",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				rows[2].Payload = []byte("{}")
				rows[2].Hash = rows[2].ComputeHash()
				return rows, head
			},
			Result{Entries: 5, BrokenAt: 40, Why: WhyLink},
		},
		{
			"finds a chain written anew by its head",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				rows[2].Payload = []byte("{}")
				rehash(rows, 2)
				return rows, head
			},
			Result{Entries: 5, BrokenAt: 50, Why: WhyHead},
		},
		{
			"finds a deleted row",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { return slices.Delete(rows, 2, 3), head },
			Result{Entries: 4, BrokenAt: 40, Why: WhyLink},
		},
		{
			"finds a deleted first row",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { return rows[1:], head },
			Result{Entries: 4, BrokenAt: 20, Why: WhyLink},
		},
		{
			"finds rows that changed places",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				rows[1], rows[2] = rows[2], rows[1]
				rows[1].ID, rows[2].ID = rows[2].ID, rows[1].ID
				return rows, head
			},
			Result{Entries: 5, BrokenAt: 20, Why: WhyLink},
		},
		{
			"finds rows that come out of order",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[2].ID = 15; return rows, head },
			Result{Entries: 5, BrokenAt: 15, Why: WhyOrder},
		},
		{
			"finds an inserted row",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				extra := *rows[1]
				extra.ID = 25
				extra.PrevHash = rows[1].Hash
				extra.Hash = extra.ComputeHash()
				return slices.Insert(rows, 2, &extra), head
			},
			Result{Entries: 6, BrokenAt: 30, Why: WhyLink},
		},
		{
			"finds a row of another mesh",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[3].MeshID = "other"; return rows, head },
			Result{Entries: 5, BrokenAt: 40, Why: WhyMesh},
		},
		{
			"finds a removed tail by the head",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { return rows[:3], head },
			Result{Entries: 3, BrokenAt: 31, Why: WhyTail},
		},
		{
			"finds that all rows were removed",
			func(_ []*Entry, head *Head) ([]*Entry, *Head) { return nil, head },
			Result{BrokenAt: 1, Why: WhyTail},
		},
		{
			"does not find a removed tail without a head",
			func(rows []*Entry, _ *Head) ([]*Entry, *Head) { return rows[:3], nil },
			Result{Valid: true, Entries: 3},
		},
		{
			"finds rows behind the head",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				head.Count, head.Hash, head.LastID = 3, rows[2].Hash, rows[2].ID
				return rows, head
			},
			Result{Entries: 5, BrokenAt: 50, Why: WhyExtra},
		},
		{
			"finds a last row whose id was changed",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { rows[4].ID = 60; return rows, head },
			Result{Entries: 5, BrokenAt: 60, Why: WhyHead},
		},
		{
			"finds the head of another mesh",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) { head.MeshID = "other"; return rows, head },
			Result{Entries: 5, BrokenAt: 50, Why: WhyHead},
		},
		{
			"reports the first of several faults",
			func(rows []*Entry, head *Head) ([]*Entry, *Head) {
				rows[1].Payload, rows[3].Payload = []byte("{}"), []byte("{}")
				return rows[:4], head
			},
			Result{Entries: 4, BrokenAt: 20, Why: WhyHash},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, head := makeChain(t, 5)
			changed, anchor := tt.change(rows, &head)
			v := NewVerifier("m")
			for _, e := range changed {
				v.Add(e)
			}
			if got := v.Finish(anchor); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	rows, _ := makeChain(t, 2)
	if got := testing.AllocsPerRun(1000, func() { rows[0].ComputeHash() }); got > 1 {
		t.Errorf("ComputeHash: got %v allocations, want at most 1", got)
	}
	v := NewVerifier("m")
	v.Add(rows[0])
	if got := testing.AllocsPerRun(1000, func() {
		v.prev, v.lastID = rows[0].Hash, rows[0].ID
		v.Add(rows[1])
	}); got > 0 {
		t.Errorf("Add: got %v allocations, want none", got)
	}
	if !v.Finish(nil).Valid {
		t.Error("got a broken chain, want a valid one")
	}
}

func BenchmarkComputeHash(b *testing.B) {
	rows, _ := makeChain(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		rows[0].ComputeHash()
	}
}

func BenchmarkAppend(b *testing.B) {
	rows, head := makeChain(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := Append(&head, rows); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	rows, head := makeChain(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		v := NewVerifier("m")
		for _, e := range rows {
			v.Add(e)
		}
		if got := v.Finish(&head); !got.Valid {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}
