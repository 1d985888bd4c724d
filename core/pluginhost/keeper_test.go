package pluginhost_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk/plugin"
)

// keeper is the drill that owns kinds of request.
type keeper struct{}

type keep struct {
	Do string `json:"do"` // what the keeper does
}

type kept struct {
	PID  int    `json:"pid"`
	Mesh string `json:"mesh"`
	Name string `json:"name"`
	Long string `json:"long,omitempty"`
}

func (kept) FrameType() string { return "kept" }

func (keeper) Keep(ctx context.Context, a plugin.Asker, m *keep) (kept, error) {
	switch m.Do {
	case "exit":
		os.Exit(9)
	case "panic":
		panic("as told")
	case "fail":
		return kept{}, errors.New("its disk is away")
	case "refuse":
		return kept{}, plugin.Refuse("too_long", "a note has 3 bytes")
	case "sleep":
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	case "stuck":
		<-ctx.Done()
		return kept{}, ctx.Err()
	case "long":
		return kept{Long: strings.Repeat("x", 2<<20)}, nil
	}
	return kept{PID: os.Getpid(), Mesh: a.Mesh, Name: a.Sender.Name}, nil
}

// posing has a field that is the broker's.
type posing struct {
	Type string `json:"type"`
}

func (posing) FrameType() string { return "kept" }

func (keeper) Forge(context.Context, plugin.Asker, *struct{}) (posing, error) {
	return posing{"push"}, nil
}

func keeperStage() plugin.Stage {
	return plugin.DefineOwner("keeper", struct{}{}, func(struct{}) (keeper, error) { return keeper{}, nil },
		plugin.Summary("keeps what tests want"), plugin.Wants(plugin.IdentityRead),
		plugin.Answers("keep", keeper.Keep, plugin.About("keeps"), plugin.Permission("canWriteState"), plugin.RefusedAs(kept{})),
		plugin.Answers("forge", keeper.Forge, plugin.About("lies")))
}
