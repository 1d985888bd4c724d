package refusals

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/sdk"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestRing(t *testing.T) {
	r := New(3)
	if got := r.List(0); len(got) != 0 {
		t.Errorf("a new ring has %+v", got)
	}
	full := Refusal{
		At: noon, Kind: sdk.KindSend, Mesh: "m1", MemberID: "ada-id", Name: "ada", Conn: 7, Stage: "grants",
		Reason: "not_granted", Text: "bo has not granted dm", TraceID: strings.Repeat("a", 32), Status: 403,
	}
	r.Add(&full)
	want := full
	want.Seq = 1
	if diff := cmp.Diff([]Refusal{want}, r.List(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 4 {
		r.Add(&Refusal{At: noon, MemberID: "an-id", Name: fmt.Sprint("peer ", i+2)})
	}
	tests := []struct {
		name string
		got  []Refusal
		want []uint64
	}{
		{"it lists the newest first, without the forgotten", r.List(0), []uint64{5, 4, 3}},
		{"it lists no more than asked for", r.List(2), []uint64{5, 4}},
		{"it has no more than it holds", r.List(9), []uint64{5, 4, 3}},
		{"it tells what came after a number, oldest first", r.Since(3), []uint64{4, 5}},
		{"it leaves out what was forgotten meanwhile", r.Since(0), []uint64{3, 4, 5}},
		{"it has nothing after the newest", r.Since(5), nil},
		{"it has nothing after a number of another life", r.Since(99), nil},
	}
	for _, tt := range tests {
		var seqs []uint64
		for _, f := range tt.got {
			seqs = append(seqs, f.Seq)
			if f.Name != fmt.Sprint("peer ", f.Seq) {
				t.Errorf("%s: refusal %d is of %s", tt.name, f.Seq, f.Name)
			}
		}
		if diff := cmp.Diff(tt.want, seqs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestStrangersPushOutTheirOwn: what members were refused stays.
func TestStrangersPushOutTheirOwn(t *testing.T) {
	r := New(3)
	r.Add(&Refusal{MemberID: "ada-id", Reason: "capacity"})
	for range 100 {
		r.Add(&Refusal{Reason: "no_hello"})
	}
	r.Add(&Refusal{MemberID: "bo-id", Reason: "rate_limit"})
	var seqs []uint64
	for _, f := range r.List(0) {
		seqs = append(seqs, f.Seq)
	}
	if diff := cmp.Diff([]uint64{102, 101, 100, 99, 1}, seqs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNilRingRemembersNothing(t *testing.T) {
	var r *Ring
	r.Add(&Refusal{})
	if r.List(0) != nil || r.Since(0) != nil || r.Counts() != nil {
		t.Error("it remembers")
	}
}

func TestTextsAreBounded(t *testing.T) {
	r := New(1)
	long := strings.Repeat("ä", 500)
	r.Add(&Refusal{
		Kind: sdk.Kind(long), Mesh: long, MemberID: long, Name: "x" + long, Stage: long,
		Reason: sdk.Reason(long), Text: long, TraceID: "\xff" + long,
	})
	got := r.List(0)[0]
	for what, text := range map[string]string{
		"kind": string(got.Kind), "mesh": got.Mesh, "member": got.MemberID, "name": got.Name,
		"stage": got.Stage, "reason": string(got.Reason), "text": got.Text, "trace": got.TraceID,
	} {
		if len(text) > roomText || !utf8.ValidString(text) || len(text) < roomTrace-2 {
			t.Errorf("%s is %q", what, text)
		}
	}
	if want := strings.Repeat("ä", roomWord/2); got.Mesh != want {
		t.Errorf("the mesh is %q, want %q", got.Mesh, want)
	}
	if got.At.IsZero() {
		t.Error("it has no time")
	}
}

func TestCounts(t *testing.T) {
	r := New(1)
	for range 3 {
		r.Add(&Refusal{Stage: "grants", Reason: "not_granted"})
	}
	r.Add(&Refusal{Stage: "auth", Reason: "not_granted"})
	want := []Count{{"auth", "not_granted", 1}, {"grants", "not_granted", 3}}
	byStage := cmpopts.SortSlices(func(a, b Count) bool { return a.Stage < b.Stage })
	if diff := cmp.Diff(want, r.Counts(), byStage); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCountsAreBounded(t *testing.T) {
	r := New(1)
	const n = 5 * maxPairs
	for i := range n {
		r.Add(&Refusal{Stage: "made-up", Reason: sdk.Reason(fmt.Sprint("reason_", i))})
	}
	for i := range n {
		r.Add(&Refusal{Stage: fmt.Sprint("stage_", i), Reason: "no"})
	}
	total, other := uint64(0), uint64(0)
	for _, c := range r.Counts() {
		total += c.Count
		if c.Stage == "made-up" && c.Reason == reasonOther {
			other = c.Count
		}
	}
	if len(r.Counts()) > 2*maxPairs+1 || total != 2*n || other != n-maxPairs {
		t.Errorf("%d counts of %d refusals, %d of one stage under %q", len(r.Counts()), total, other, reasonOther)
	}
}

func TestRingIsSafeForConcurrentUse(t *testing.T) {
	r := New(16)
	var adders, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for seq := uint64(0); ; {
				for _, f := range r.Since(seq) {
					if f.Seq <= seq || f.Text != string(f.Reason) {
						t.Errorf("after %d came %+v", seq, f)
					}
					seq = f.Seq
				}
				r.List(4)
				r.Counts()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 8 {
		reason := fmt.Sprint("reason_", i)
		adders.Go(func() {
			for range 1000 {
				r.Add(&Refusal{Reason: sdk.Reason(reason), Text: reason})
			}
		})
	}
	adders.Wait()
	close(done)
	readers.Wait()
	if got := r.List(1)[0].Seq; got != 8000 {
		t.Errorf("the newest is %d", got)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	r := New(8)
	f := typical()
	if n := testing.AllocsPerRun(100, func() { r.Add(&f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func typical() Refusal {
	return Refusal{
		At: noon, Kind: sdk.KindSend, Mesh: strings.Repeat("m", 32), MemberID: strings.Repeat("i", 32), Name: "ada", Conn: 7,
		Stage: "rate-limit", Reason: sdk.ReasonRateLimit, Text: "60 sends a minute are over: wait 3 s", TraceID: strings.Repeat("a", 32),
	}
}

func BenchmarkAdd(b *testing.B) {
	r := New(DefaultSize)
	f := typical()
	b.ReportAllocs()
	for b.Loop() {
		r.Add(&f)
	}
}
