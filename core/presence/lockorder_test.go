package presence

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// alone is a node that has nobody to wake.
type alone struct{}

func (alone) Wake(string, sdk.Key, sdk.Priority) {}
func (alone) Held() bool                         { return true }
func (alone) Alone(context.Context, string, func(context.Context) error) (bool, error) {
	return false, nil
}

// A change of status locks the mesh and then the mailbox, so a drain must not ask
// the mesh with its mailbox locked.
func TestStatusAndDrainDoNotWaitForEachOther(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	engine, err := delivery.NewEngine(t.Context(), delivery.Options{
		ExpireAfter: time.Hour, AckTimeout: time.Minute, UnconfirmedBytes: 1 << 20, DrainBatch: 16, Others: alone{},
	}, noQueue{}, noCommitter{}, func(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) }, log)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDirectory(Options{MeshLimit: 10, Grace: time.Minute, Node: "a", Others: &others{listen: map[sdk.Key]int{}}}, engine, new(journal), log)
	engine.Use(d)
	at, err := d.Attach(arrival("ada", "s1"))
	if err != nil {
		t.Fatal(err)
	}
	d.Online(at, new(conn))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var both sync.WaitGroup
		both.Go(func() {
			for i := range 3000 {
				d.SetStatus(at.Session, []Status{Idle, Working}[i%2], Manual)
			}
		})
		both.Go(func() {
			for range 3000 {
				engine.Nudge("mesh", key("s1"), sdk.PriorityNow)
			}
		})
		both.Wait()
	}()
	select {
	case <-done:
		engine.Close()
	case <-time.After(30 * time.Second):
		t.Fatal("a status and a drain wait for each other")
	}
}
