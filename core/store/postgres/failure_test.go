package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/sdk"
)

// one message with everything that goes along with it.
func numbered(n int) *store.Batch {
	m := &store.Message{
		Seq: int64(n), ID: fmt.Sprintf("message %06d", n), MeshID: "mesh", SenderMemberID: "ada",
		ClientMessageID: fmt.Sprint("client ", n), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}
	return &store.Batch{
		Messages: []*store.Message{m}, Sent: []*store.Message{m},
		Deliveries: []store.Delivery{{Seq: m.Seq, Recipient: sdk.Key{1}, MemberID: "bo"}},
		Audit: []*audit.Entry{
			{MeshID: "mesh", EventType: "message_sent", ActorName: m.ID, CreatedAt: time.Now()},
			{MeshID: fmt.Sprint("mesh ", n%3), EventType: "message_sent", ActorName: m.ID, CreatedAt: time.Now()},
		},
	}
}

// wantNumbered checks that of the batches numbered, those and only those are
// there, each once.
func wantNumbered(t *testing.T, s *Store, want map[int]bool) {
	t.Helper()
	for _, query := range []string{
		`SELECT id FROM message`,
		`SELECT message_id FROM sent`,
		`SELECT m.id FROM message m JOIN delivery d ON d.seq = m.seq`,
		`SELECT actor_name FROM audit_log WHERE mesh_id = 'mesh'`,
		`SELECT actor_name FROM audit_log WHERE mesh_id <> 'mesh'`,
	} {
		got, err := all(t.Context(), s, value[string], query)
		if err != nil {
			t.Fatal(err)
		}
		count := make(map[string]int, len(got))
		for _, id := range got {
			count[id]++
		}
		for n, there := range want {
			id := fmt.Sprintf("message %06d", n)
			if there && count[id] != 1 || !there && count[id] != 0 {
				t.Errorf("%s: got %s %d times, want it: %v", query, id, count[id], there)
			}
		}
	}
	for _, mesh := range []string{"mesh", "mesh 0", "mesh 1", "mesh 2"} {
		if r, err := s.VerifyAudit(t.Context(), mesh); err != nil || !r.Valid {
			t.Errorf("mesh %q: got %+v, error %v", mesh, r, err)
		}
	}
}

// The server goes away and comes back: calls fail soon, say that it is the
// database, and work again on the store that is open.
func TestServerGoesAndComes(t *testing.T) {
	t.Parallel()
	cluster := pgtest.NewCluster(t)
	s := fresh(t, Options{URL: cluster.URL(), ConnectTimeout: time.Second})
	want := map[int]bool{}
	commit := func(n int) error {
		err := s.Commit(t.Context(), numbered(n))
		want[n] = err == nil
		return err
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		cluster.Stop(t)
		for name, call := range map[string]func(context.Context) error{
			"ping":   s.Ping,
			"commit": func(context.Context) error { return commit(10*round + 2) },
			"read":   func(ctx context.Context) error { _, err := s.LastSeq(ctx); return err },
			"write":  func(ctx context.Context) error { _, err := s.Expire(ctx, time.Now(), 1); return err },
			"transaction": func(ctx context.Context) error {
				_, err := s.MessageStatus(ctx, "mesh", "m")
				return err
			},
			"lock":   func(ctx context.Context) error { _, _, err := s.TryLock(ctx, "l"); return err },
			"stream": func(ctx context.Context) error { _, err := s.VerifyAudit(ctx, "mesh"); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			err := call(ctx)
			if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
				t.Errorf("%s: got error %v, context: %v", name, err, ctx.Err())
			}
			cancel()
		}
		if _, err := Open(t.Context(), Options{URL: s.o.URL}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("open: got error %v", err)
		}
		cluster.Start(t)
		if err := commit(10*round + 3); err != nil {
			t.Errorf("after the start: %v", err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("after the start: %v", err)
		}
		wantNumbered(t, s, want)
	}
}

// Connections are cut again and again while batches are committed: what was
// committed is there once, what failed is not.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	s := fresh(t, Options{URL: url, Durability: Process})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { cut(t, url, stop) })

	want := map[int]bool{}
	lost := 0
	for n, end := 0, time.Now().Add(3*time.Second); time.Now().Before(end); n++ {
		b := numbered(n)
		err := s.Commit(t.Context(), b)
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("commit %d: %v", n, err)
		}
		if len(b.Repeats) > 0 {
			t.Errorf("commit %d found itself: %v", n, b.Repeats)
		}
		want[n] = err == nil
		if err != nil {
			lost++
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d commits, %d failed", len(want), lost)
	wantNumbered(t, s, want)
}

// cut ends all connections of brokers to a database, until stop.
func cut(t *testing.T, url string, stop <-chan struct{}) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(10+n*7%60) * time.Millisecond): // so that each moment has its turn
		}
		if _, err := conn.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'claudemesh-broker'`); err != nil {
			t.Error(err)
			return
		}
	}
}

// What became of a transaction is found out by its id and by its rows.
func TestOutcome(t *testing.T) {
	t.Parallel()
	s := fresh(t, Options{OutcomeTimeout: 300 * time.Millisecond})
	ctx := t.Context()
	b := numbered(1)
	if err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for name, end := range map[string]string{"committed": "COMMIT", "aborted": "ROLLBACK"} {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ids[name], err = value[string](tx.QueryRow(ctx, identify.query)); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, end); err != nil {
			t.Fatal(err)
		}
		tx.Rollback(ctx)
	}
	running, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer running.Rollback(context.WithoutCancel(ctx))
	if ids["running"], err = value[string](running.QueryRow(ctx, identify.query)); err != nil {
		t.Fatal(err)
	}

	cause := errors.New("the cause")
	for name, tt := range map[string]struct {
		id    string
		batch *store.Batch
		want  string // the error's beginning
	}{
		"committed, and there":         {ids["committed"], b, ""},
		"committed by another's hand":  {ids["committed"], numbered(2), "the connection to the database broke: the cause"},
		"marks alone have no witness":  {ids["committed"], &store.Batch{}, ""},
		"rolled back":                  {ids["aborted"], b, "the connection to the database broke: the cause"},
		"an id that the server forgot": {"99999999", b, "the connection to the database broke: the cause"},
		"still running":                {ids["running"], b, "the database does not answer: whether it was written is not known: transaction " + ids["running"] + ", after 300ms"},
	} {
		got := ""
		err := s.outcome(ctx, tt.id, tt.batch, cause)
		if err != nil {
			got = err.Error()
			if !errors.Is(kindOf(err), store.ErrUnavailable) || !errors.Is(err, cause) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// Each kind of batch has a row by which it is found.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	s := fresh(t, Options{Durability: Process})
	now := time.Now()
	m := &store.Message{Seq: 9, ID: "nine", MeshID: "mesh", SenderMemberID: "ada", ClientMessageID: "c", CreatedAt: now, ExpiresAt: now}
	for name, b := range map[string]*store.Batch{
		"message":     numbered(1),
		"sent":        {Sent: []*store.Message{m}},
		"audit":       {Audit: []*audit.Entry{{MeshID: "another", EventType: "e", CreatedAt: now}}},
		"session key": {SessionKeys: []*store.SessionKey{{MeshID: "mesh", Key: sdk.Key{1}, MemberID: "ada", ClaimedAt: now}}},
		"presence":    {Presences: []*store.Presence{{ID: "here", ConnectedAt: now, Version: 3}}},
	} {
		for _, want := range []bool{false, true} {
			if there, err := s.written(t.Context(), b); err != nil || there != want {
				t.Errorf("%s: got %v, error %v; want %v", name, there, err, want)
			}
			if want {
				break
			}
			if err := s.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTextsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := fresh(t, Options{Durability: Process})
	for _, bad := range []string{"a\x00b", "\xff"} {
		b := numbered(1)
		b.Messages[0].SenderName = bad
		err := s.Commit(t.Context(), b)
		if !errors.Is(err, store.ErrText) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%q: got error %v", bad, err)
		}
	}
	b := numbered(2)
	m := b.Messages[0]
	m.Nonce, m.Ciphertext, m.Fingerprint = "a\x00b", "\xff\xfe", "\x00"
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	list, err := s.Pending(t.Context(), store.Drain{Mesh: "mesh", Keys: []sdk.Key{{1}}, Max: sdk.PriorityLow, Limit: 9})
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, error %v", list, err)
	}
	if got := list[0].Message; got.Nonce != m.Nonce || got.Ciphertext != m.Ciphertext || got.Fingerprint != m.Fingerprint {
		t.Errorf("got %+v", got)
	}
}

// A process that freezes in the middle of a commit holds up the others for a
// moment only.
func TestFrozenCommitLetsOthersGoOn(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	frozen, other := fresh(t, Options{URL: url}), fresh(t, Options{URL: url})
	ctx := t.Context()
	if err := frozen.Commit(ctx, numbered(1)); err != nil {
		t.Fatal(err)
	}
	conn, err := frozen.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	half := transaction{committer: newCommitter(), conn: conn.Conn(), batch: numbered(2)}
	if half.pipe, err = newPipeline(ctx, half.conn, batchStatements); err != nil {
		t.Fatal(err)
	}
	half.bare(&beginBatch, nil)
	half.bare(&identify, nil)
	if err := half.writeRows(); err != nil {
		t.Fatal(err)
	}
	if err := half.writeAudit(); err != nil { // holds the end of the chain now, and stops
		t.Fatal(err)
	}
	if err := other.Commit(ctx, numbered(3)); err != nil {
		t.Errorf("another process has to wait for one that is frozen: %v", err)
	}
	half.bare(&commitBatch, nil)
	if err := errors.Join(half.pipe.sync(), half.read(len(half.unread))); err == nil {
		t.Error("the frozen transaction was committed after others had passed it")
	}
	half.conn.PgConn().Close(ctx)
}
