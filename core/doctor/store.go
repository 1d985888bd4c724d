package doctor

import (
	"context"
	"errors"
	"io/fs"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
)

// store looks at the store that the config selects.
func (r *round) store(ctx context.Context) {
	if r.Config.Store.Engine() == "postgres" {
		r.postgres(ctx)
		return
	}
	r.sqlite(ctx)
}

// migrations compares what a store has applied with what this program has. It
// reports whether the tables are those of this program.
func (r *round) migrations(files fs.FS, applied []migrate.Migration) (same bool) {
	ours, err := migrate.Embedded(files)
	if err != nil {
		r.fail(CheckMigrations, "build the program anew", "%v", err)
		return false
	}
	pending, err := migrate.Pending(ours, applied)
	switch {
	case errors.Is(err, migrate.ErrNewer):
		r.fail(CheckMigrations, "use the newer program for commands, and start no broker of this version", "%v", err)
	case err != nil:
		r.fail(CheckMigrations, "use the program that this store belongs to, or restore the store from a backup", "%v", err)
	case len(pending) == 0:
		r.ok(CheckMigrations, "%d applied, the newest %s; none pending", len(applied), applied[len(applied)-1].Name)
		return true
	default:
		r.pending(pending)
	}
	return false
}

func (r *round) pending(pending []migrate.Migration) {
	names := pending[0].Name
	if n := len(pending); n > 1 {
		names += " to " + pending[n-1].Name
	}
	switch {
	case r.Config.Store.Engine() == "postgres" && !r.Config.Store.Migrate:
		r.fail(CheckMigrations, "broker migrate up", "%d pending (%s), and store.migrate is off: a broker that starts is not ready", len(pending), names)
	case r.running != nil:
		r.warn(CheckMigrations, "start the broker again with this program, which applies them", "%d pending (%s): the broker that runs is older", len(pending), names)
	default:
		r.warn(CheckMigrations, "broker serve applies them when it starts, and broker migrate up does without it", "%d pending (%s)", len(pending), names)
	}
}

// sealed are the meshes of a store, with what is sealed of them, for a check
// that only lists.
type sealed struct {
	issue.Store // nil: nothing else is called

	meshes []store.MeshSummary
}

// ListMeshes implements [issue.Store].
func (s sealed) ListMeshes(context.Context) ([]store.MeshSummary, error) { return s.meshes, nil }

// key opens what the store has sealed.
func (r *round) key(ctx context.Context, meshes []store.MeshSummary) {
	const restore = "restore encryption.key in data_dir, or set BROKER_ENCRYPTION_KEY to what the broker was first started with"
	secrets := 0
	for _, m := range meshes {
		if m.Mesh.RootKey != "" || m.Mesh.OwnerSecret != "" {
			secrets++
		}
	}
	keys, err := r.Keys()
	switch {
	case err != nil:
		r.fail(CheckKey, restore, "%v", err)
		return
	case keys == nil && r.running != nil:
		r.ok(CheckKey, "not given to this command; the broker that runs has tried its own when it started")
		return
	case keys == nil && secrets == 0 && r.Config.Mode == config.Production && !r.Config.Insecure:
		r.warn(CheckKey, "set BROKER_ENCRYPTION_KEY for the broker, to what openssl rand -hex 32 prints, and keep a copy",
			"not given to this command; in production a broker does not start without one")
		return
	case keys == nil && secrets == 0:
		r.ok(CheckKey, "none yet, and nothing is sealed: broker serve makes one")
		return
	}
	damaged, err := issue.New(sealed{meshes: meshes}, keys, nil).CheckKey(ctx)
	if err != nil {
		r.fail(CheckKey, restore, "the secrets of %d mesh(es) cannot be opened: %v", secrets, err)
		return
	}
	for _, d := range damaged {
		r.fail(CheckKey, "restore its row of the table mesh from a backup; until then it has no invites", "a secret of mesh %s cannot be opened: %v", d.Slug, d.Err)
	}
	if len(damaged) == 0 {
		r.ok(CheckKey, "opens the secrets of %d mesh(es)", secrets)
	}
}
