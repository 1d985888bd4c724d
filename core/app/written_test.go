package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// overtaken is a store whose journal is written between its answer and whoever
// asked.
type overtaken struct {
	store.Store
	committer *commit.Committer
}

func (s overtaken) State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error) {
	found, err := s.Store.State(ctx, mesh, memberID, session)
	if flushed := s.committer.Flush(ctx); flushed != nil {
		return nil, flushed
	}
	return found, err
}

// TestStateThatIsWrittenMeanwhile comes back to a member with a new session key.
func TestStateThatIsWrittenMeanwhile(t *testing.T) {
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: freshtest.Path(t)})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	committer := commit.New(st, store.NewPatience(0, log), log)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := committer.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	journal := commit.NewJournal(committer)
	seen := written{overtaken{st, committer}, committer, journal}
	fresh, _ := identity.NewKeypair()
	journal.SaveState(&store.State{MeshID: "mesh", MemberID: "ada", Summary: "writes tests", LastSeenAt: time.Now()})
	got, err := seen.State(t.Context(), "mesh", "ada", fresh)
	if err != nil || got == nil || got.Summary != "writes tests" {
		t.Errorf("got %+v, %v", got, err)
	}
}
