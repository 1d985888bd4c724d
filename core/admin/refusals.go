package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// slugTime bounds the search for the slugs of meshes: who asks why something was
// refused often asks because the store does not answer.
const slugTime = 2 * time.Second

// RefusalOptions say which refusals are meant. Zero fields leave nothing out.
type RefusalOptions struct {
	Mesh   string     `json:"mesh,omitempty"` // id or slug
	Reason sdk.Reason `json:"reason,omitempty"`
	Stage  string     `json:"stage,omitempty"` // name of the link; NoStage for what no stage refused
	After  uint64     `json:"after,omitempty"` // only what is newer than the refusal with this number
	Most   int        `json:"most,omitempty"`  // of those, the newest so many; 0 for all
}

// NoStage is the stage of what was refused before or behind the chain.
const NoStage = "-"

// Refusals are what was refused, oldest first.
type Refusals struct {
	Newest   uint64    `json:"newest"` // number of the newest of all; lower than before: the broker was started again
	Held     int       `json:"held"`   // that are remembered at all, whatever was asked for
	Refusals []Refusal `json:"refusals"`

	// Reasons and Stages are those of all that are remembered, in the order of
	// the alphabet; only where none of them was meant.
	Reasons []string `json:"reasons,omitempty"`
	Stages  []string `json:"stages,omitempty"` // NoStage among them
}

// Refusal is one envelope or request that was refused. Its JSON is a contract
// with other tools.
type Refusal struct {
	refusals.Refusal
	Slug string `json:"slug,omitempty"` // of the mesh, where there is one with this id
}

// ListRefusals implements [Ops].
func (l *Local) ListRefusals(ctx context.Context, o RefusalOptions) (*Refusals, error) {
	if l.hooks.Refusals == nil {
		return nil, core.Refuse("not_running", "no broker runs on this store (--config and --data-dir say which one), "+
			"and what one has refused is gone with it; the audit log has what has to be kept")
	}
	answer := &Refusals{Refusals: []Refusal{}}
	all := l.hooks.Refusals.List(0)
	if answer.Held = len(all); len(all) > 0 {
		answer.Newest = all[0].Seq
	}
	meshID, err := l.meshOfRefusals(ctx, o.Mesh)
	if err != nil {
		return nil, err
	}
	for _, f := range l.hooks.Refusals.Since(o.After) {
		if o.mean(&f, meshID) {
			answer.Refusals = append(answer.Refusals, Refusal{Refusal: f})
		}
		answer.Newest = max(answer.Newest, f.Seq)
	}
	if len(answer.Refusals) == 0 && o.After == 0 {
		answer.say(all)
		if err := l.wantLink(o.Stage, answer.Stages); err != nil {
			return nil, err
		}
	}
	if n := len(answer.Refusals); o.Most > 0 && n > o.Most {
		answer.Refusals = answer.Refusals[n-o.Most:]
	}
	l.addSlugs(ctx, answer.Refusals)
	return answer, nil
}

// wantLink refuses a stage that neither the chain has nor one before it had, by
// what is remembered.
func (l *Local) wantLink(name string, stages []string) error {
	if name == "" || name == NoStage || slices.Contains(stages, name) || l.hooks.Chain == nil {
		return nil
	}
	d, _, err := l.hooks.Chain()
	if err != nil {
		return err
	}
	var links []string
	for i := range d.Links {
		if d.Links[i].Name == name {
			return nil
		}
		if d.Links[i].Enabled {
			links = append(links, d.Links[i].Name)
		}
	}
	return core.Refuse(sdk.ReasonNotFound, "the chain has no link "+name+"; it has: "+strings.Join(links, ", "))
}

// say tells what there is to choose from.
func (r *Refusals) say(all []refusals.Refusal) {
	for i := range all {
		r.Reasons = append(r.Reasons, string(all[i].Reason))
		r.Stages = append(r.Stages, cmp.Or(all[i].Stage, NoStage))
	}
	slices.Sort(r.Reasons)
	slices.Sort(r.Stages)
	r.Reasons, r.Stages = slices.Compact(r.Reasons), slices.Compact(r.Stages)
}

func (o *RefusalOptions) mean(f *refusals.Refusal, meshID string) bool {
	return (o.Mesh == "" || f.Mesh == meshID) && (o.Reason == "" || f.Reason == o.Reason) &&
		(o.Stage == "" || f.Stage == o.Stage || o.Stage == NoStage && f.Stage == "")
}

// meshOfRefusals returns the id of a mesh. One that is in no store may have been
// refused for just that.
func (l *Local) meshOfRefusals(ctx context.Context, idOrSlug string) (string, error) {
	if idOrSlug == "" {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, slugTime)
	defer cancel()
	m, err := l.mesh(ctx, idOrSlug)
	if err == nil {
		return m.ID, nil
	}
	for _, f := range l.hooks.Refusals.List(0) {
		if f.Mesh == idOrSlug {
			return idOrSlug, nil
		}
	}
	return "", err
}

// addSlugs adds what people call the meshes. Where the store does not answer, it
// is left out.
func (l *Local) addSlugs(ctx context.Context, list []Refusal) {
	ctx, cancel := context.WithTimeout(ctx, slugTime)
	defer cancel()
	slugs := map[string]string{}
	for i := range list {
		id := list[i].Mesh
		if id == "" {
			continue
		}
		if _, known := slugs[id]; !known {
			m, err := l.store.FindMesh(ctx, id)
			switch {
			case err == nil && m.ID == id:
				slugs[id] = m.Slug
			case err == nil || errors.Is(err, store.ErrNotFound):
				slugs[id] = ""
			default:
				return
			}
		}
		list[i].Slug = slugs[id]
	}
}
