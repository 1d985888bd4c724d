package feature

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// entry is an entry of a member, as the chain records it.
func (r *rig) entry(event, actor, payload string) *audit.Entry {
	e := &audit.Entry{EventType: event, Payload: []byte(payload)}
	if m := r.members[actor]; m != nil {
		e.ActorMemberID, e.ActorName = m.ID, m.DisplayName
	}
	return e
}

// log asks for a page of the audit log and returns it in few words.
func (p *peer) log(fields string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"audit_query"` + fields + `}`)
	page, err := wire.Decode[wire.AuditResult]([]byte(answer))
	if err != nil {
		p.rig.t.Fatalf("%s: %v", answer, err)
	}
	text := fmt.Sprint(page.Total, ":")
	for _, e := range page.Entries {
		text += fmt.Sprint(" ", e.ID, e.EventType, "/", e.Actor)
	}
	return text
}

func TestAuditQuery(t *testing.T) {
	r := newRig(t)
	ada, gil, bo, cy := r.join("ada"), r.join("gil"), r.join("bo"), r.join("cy")
	r.record(r.entry("join", "bo", `{}`), r.entry("send", "bo", `{"targetSpec":"*"}`), r.entry("send", "ada", `{}`),
		r.entry("tick", "", `{}`), r.entry("send", "bo", `{}`))
	tests := []struct {
		name   string
		asks   *peer
		fields string
		want   string
	}{
		{"the owner sees everything, newest first", ada, ``, "5: 5send/bo 4tick/system 3send/ada 2send/bo 1join/bo"},
		{"an admin does", gil, ``, "5: 5send/bo 4tick/system 3send/ada 2send/bo 1join/bo"},
		{"a member sees what it did itself", bo, ``, "3: 5send/bo 2send/bo 1join/bo"},
		{"a member that did nothing sees nothing", cy, ``, "0:"},
		{"one event", gil, `,"eventType":"send"`, "3: 5send/bo 3send/ada 2send/bo"},
		{"one event of its own", bo, `,"eventType":"join"`, "1: 1join/bo"},
		{"an event that never was", gil, `,"eventType":"nothing"`, "0:"},
		{"a page", gil, `,"limit":2,"offset":1`, "5: 4tick/system 3send/ada"},
		{"a page of its own", bo, `,"limit":1,"offset":1`, "3: 2send/bo"},
		{"a limit of 0 is taken as 1", gil, `,"limit":0`, "5: 5send/bo"},
		{"a negative limit too", gil, `,"limit":-1`, "5: 5send/bo"},
		{"a negative offset is taken as 0", gil, `,"limit":1,"offset":-3`, "5: 5send/bo"},
		{"an offset behind the end", gil, `,"offset":9`, "5:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantText(t, tt.asks.log(tt.fields), tt.want) })
	}
}

func TestAuditQueryAnswer(t *testing.T) {
	r := newRig(t)
	ada := r.join("ada")
	e := r.entry("send", "bo", `{"priority":"now","targetSpec":"*"}`)
	r.record(e)
	got, _ := ada.ask(`{"type":"audit_query","_reqId":"a"}`)
	wantText(t, got, `{"type":"audit_result","_reqId":"a","entries":[{"id":1,"eventType":"send","actor":"bo",`+
		`"payload":{"priority":"now","targetSpec":"*"},"hash":"`+e.Hash+`","createdAt":"`+
		string(wire.AppendTime(nil, e.CreatedAt))+`"}],"total":1}`)
}

func TestAuditPagesAreLimited(t *testing.T) {
	r := newRig(t)
	ada := r.join("ada")
	var entries []*audit.Entry
	for range 501 {
		entries = append(entries, r.entry("send", "bo", `{}`))
	}
	r.record(entries...)
	tests := []struct {
		name, fields string
		want         int
	}{
		{"50 when it is not said", ``, 50},
		{"500 at most", `,"limit":100000000000`, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Count(ada.log(tt.fields), "send"); got != tt.want {
				t.Errorf("got %d entries, want %d", got, tt.want)
			}
		})
	}
	got, _ := ada.ask(`{"type":"audit_query","limit":"all","_reqId":"a"}`)
	wantText(t, got, `{"type":"error","_reqId":"a","code":"invalid","message":"limit: want a whole number"}`)
}

func TestAuditVerify(t *testing.T) {
	tests := []struct {
		name  string
		story func(r *rig)
		want  string
	}{
		{"a chain that was never begun is valid", func(*rig) {}, `"valid":true,"entries":0}`},
		{"a chain that nobody touched is valid", func(r *rig) {
			r.record(r.entry("send", "bo", `{}`), r.entry("send", "ada", `{}`))
		}, `"valid":true,"entries":2}`},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOn(t, st)
			tt.story(r)
			got, _ := r.join("bo").ask(`{"type":"audit_verify","_reqId":"v"}`)
			wantText(t, got, `{"type":"audit_verify_result","_reqId":"v",`+tt.want)
		})
	}
}

// Entries that are appended while a chain is read are no false alarm.
func TestAuditVerifyBesideAppends(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				r.append(r.entry("send", "cy", `{}`), r.entry("send", "ada", `{}`))
				if err := r.committer.Flush(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 20 {
		if got, _ := bo.ask(`{"type":"audit_verify"}`); !strings.Contains(got, `"valid":true`) {
			t.Error(got)
		}
	}
	close(stop)
	<-done
}

// What was changed on disk behind the broker's back is found.
func TestAuditVerifyFindsTampering(t *testing.T) {
	tests := []struct{ name, tamper, want string }{
		{"an edited entry", `UPDATE audit_log SET payload = '{"n":9}' WHERE id = 2`, `"valid":false,"entries":3,"brokenAt":2}`},
		{"a deleted entry", `DELETE FROM audit_log WHERE id = 2`, `"valid":false,"entries":2,"brokenAt":3}`},
		{"a cut tail", `DELETE FROM audit_log WHERE id = 3`, `"valid":false,"entries":2,"brokenAt":3}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "broker.db")
			r := newRigOn(t, openStoreAt(t, path))
			r.record(r.entry("send", "bo", `{"n":1}`), r.entry("send", "bo", `{"n":2}`), r.entry("send", "bo", `{"n":3}`))
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), tt.tamper); err != nil {
				t.Fatal(err)
			}
			got, _ := r.join("bo").ask(`{"type":"audit_verify"}`)
			wantText(t, got, `{"type":"audit_verify_result",`+tt.want)
		})
	}
}

// stubAudit is a log whose reads end when the test says so.
type stubAudit struct {
	page   func() ([]*audit.Entry, int64, error)
	verify func(ctx context.Context, mesh string) (audit.Result, error)
}

func (s stubAudit) AuditPage(context.Context, string, store.AuditMatch, int, int) ([]*audit.Entry, int64, error) {
	return s.page()
}

func (s stubAudit) VerifyAudit(ctx context.Context, mesh string) (audit.Result, error) {
	return s.verify(ctx, mesh)
}

func TestAuditVerdictOnABrokenChain(t *testing.T) {
	r := newRig(t)
	reg := NewRegistry()
	Audit(reg, stubAudit{verify: func(context.Context, string) (audit.Result, error) {
		return audit.Result{Entries: 9, BrokenAt: 4, Why: audit.WhyLink}, nil
	}}, r.roster)
	got, _ := r.join("bo").askOf(reg, `{"type":"audit_verify"}`)
	wantText(t, got, `{"type":"audit_verify_result","valid":false,"entries":9,"brokenAt":4}`)
}

// What a store says about its insides is for the log.
func TestAuditFailuresAreNotTold(t *testing.T) {
	r := newRig(t)
	secret := errors.New("no such table: audit_log at 10.0.0.7")
	reg := NewRegistry()
	Audit(reg, stubAudit{
		page:   func() ([]*audit.Entry, int64, error) { return nil, 0, secret },
		verify: func(context.Context, string) (audit.Result, error) { return audit.Result{}, secret },
	}, r.roster)
	bo := r.join("bo")
	const text = `"message":"the audit log cannot be read: try again in a moment"}`
	got, _ := bo.askOf(reg, `{"type":"audit_query","_reqId":1}`)
	wantText(t, got, `{"type":"error","_reqId":1,"code":"audit_query_error",`+text)
	got, _ = bo.askOf(reg, `{"type":"audit_verify","_reqId":2}`)
	wantText(t, got, `{"type":"error","_reqId":2,"code":"audit_verify_error",`+text)
}

func TestAuditVerifiesOneAtATimeInAMesh(t *testing.T) {
	r := newRig(t)
	began, finish := make(chan struct{}), make(chan struct{})
	reg := NewRegistry()
	Audit(reg, stubAudit{verify: func(context.Context, string) (audit.Result, error) {
		began <- struct{}{}
		<-finish
		return audit.Result{Valid: true}, nil
	}}, r.roster)
	first, second := r.join("bo"), r.join("cy")
	answer := make(chan string, 1)
	go func() {
		got, _ := first.askOf(reg, `{"type":"audit_verify"}`)
		answer <- got
	}()
	<-began
	got, _ := second.askOf(reg, `{"type":"audit_verify"}`)
	wantText(t, got, `{"type":"error","code":"audit_verify_error",`+
		`"message":"this audit log is being verified for somebody else: try again in a moment"}`)
	close(finish)
	wantText(t, <-answer, `{"type":"audit_verify_result","valid":true,"entries":0}`)
	go func() { <-began }()
	got, _ = second.askOf(reg, `{"type":"audit_verify"}`)
	wantText(t, got, `{"type":"audit_verify_result","valid":true,"entries":0}`)
}

func TestAuditVerifiesFewMeshesAtOnce(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	a := &audits{slots: make(chan struct{}, verifiesAtOnce), store: stubAudit{
		verify: func(context.Context, string) (audit.Result, error) {
			began <- struct{}{}
			<-finish
			return audit.Result{}, nil
		},
	}}
	var others sync.WaitGroup
	for i := range verifiesAtOnce {
		others.Go(func() {
			if _, err := a.inTurn(context.Background(), fmt.Sprint("mesh-", i)); err != nil {
				t.Error(err)
			}
		})
		<-began
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.inTurn(ctx, "one more"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v while %d others are read", err, verifiesAtOnce)
	}
	close(finish)
	others.Wait()
}
