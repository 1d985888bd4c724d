package store

import (
	"context"
	"strings"
	"time"
)

// Skill is instructions that a member shared under a name.
type Skill struct {
	MeshID       string
	Name         string
	Description  string
	Instructions string
	Tags         []string
	Manifest     []byte // JSON that comes back byte by byte; nil for none
	MemberID     string // who shared it last; "" when that is not known
	Author       string // its name at that time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Searched returns what queries look for a skill in: name, description and tags,
// in lower case, each on a line of its own.
func (s *Skill) Searched() string {
	return strings.ToLower(strings.Join(append([]string{s.Name, s.Description}, s.Tags...), "\n"))
}

// Skills keeps the skills of meshes.
type Skills interface {
	// Skill returns one skill. ErrNotFound.
	Skill(ctx context.Context, mesh, name string) (*Skill, error)

	// FindSkills returns at most limit skills of a mesh, by name, without their
	// instructions and manifests: those that have a query in their name, their
	// description or a tag, in any case, but for those of the members except.
	FindSkills(ctx context.Context, mesh, query string, except []string, limit int) ([]*Skill, error)

	// ShareSkill writes a skill in place of one that the member over has shared,
	// whose CreatedAt stays, or, where over is nil, as a new one. ErrConflict, and
	// nothing is written, when that is not what is there; a [*FullError] when
	// there is no room for a new one.
	ShareSkill(ctx context.Context, s *Skill, over *string, room Room) error

	// RemoveSkill deletes a skill that the member over has shared. ErrConflict
	// when that is not what is there.
	RemoveSkill(ctx context.Context, mesh, name, over string) error
}
