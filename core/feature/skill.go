package feature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of skills. With all of them a mesh has some 35 MB, and a member two
// fifths of that.
const (
	skillsPerMesh   = 500 // all of them fit into one list of names
	skillsPerMember = 200
	skillTries      = 16 // how often a change is tried that others got in the way of
)

// SkillStore keeps skills.
type SkillStore interface {
	Skill(ctx context.Context, mesh, name string) (*store.Skill, error)
	FindSkills(ctx context.Context, mesh, query string, except []string, limit int) ([]*store.Skill, error)
	ShareSkill(ctx context.Context, s *store.Skill, over *string, room store.Room) error
	RemoveSkill(ctx context.Context, mesh, name, over string) error
}

// Skills lets the members of a mesh leave each other instructions. Who writes is
// refused by an error frame: known clients take any skill_ack for success.
func Skills(r *Registry, st SkillStore, who Roster) {
	s := &skills{store: st, roster: who}
	On(r, s.share).Needs(store.CanWriteState)
	On(r, s.remove).Needs(store.CanWriteState)
	On(r, s.get).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.SkillData{Error: worded(why, text)}
	})
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.SkillList{Skills: []wire.SkillBrief{}, Error: worded(why, text)}
	})
}

type skills struct {
	store  SkillStore
	roster Roster
}

// share writes a skill. Who may depends on who wrote before, so it is only
// written over what was looked at.
func (s *skills) share(ctx context.Context, c *Call, m *wire.ShareSkill) (wire.SkillAck, error) {
	manifest, err := checkSkill(m)
	if err != nil {
		return wire.SkillAck{}, err
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return wire.SkillAck{}, err
	}
	now := time.Now()
	row := &store.Skill{
		MeshID: c.Env.Mesh, Name: m.Name, Description: m.Description, Instructions: m.Instructions, Tags: m.Tags,
		Manifest: manifest, MemberID: by.ID, Author: by.DisplayName, CreatedAt: now, UpdatedAt: now,
	}
	_, err = s.change(ctx, by, m.Name, func(over *string) error {
		if over == nil {
			return s.store.ShareSkill(ctx, row, nil, store.Room{Mesh: skillsPerMesh, Member: skillsPerMember})
		}
		return s.store.ShareSkill(ctx, row, over, store.Room{})
	})
	if err != nil {
		return wire.SkillAck{}, err
	}
	c.Env.Records = append(c.Env.Records, ofSkill("skill_shared", m.Name, m.Instructions))
	return wire.SkillAck{Name: m.Name, Action: "shared"}, nil
}

// remove deletes a skill.
func (s *skills) remove(ctx context.Context, c *Call, m *wire.RemoveSkill) (wire.SkillAck, error) {
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return wire.SkillAck{}, err
	}
	old, err := s.change(ctx, by, m.Name, func(over *string) error {
		if over == nil {
			return nil
		}
		return s.store.RemoveSkill(ctx, c.Env.Mesh, m.Name, *over)
	})
	switch {
	case err != nil:
		return wire.SkillAck{}, err
	case old == nil:
		return wire.SkillAck{Name: m.Name, Action: "not_found"}, nil
	}
	c.Env.Records = append(c.Env.Records, ofSkill("skill_removed", m.Name, old.Instructions))
	return wire.SkillAck{Name: m.Name, Action: "removed"}, nil
}

// change has write make a change over the skill that is there, by the id of the
// member that shared it; nil for none. It returns that skill.
func (s *skills) change(ctx context.Context, by asker, name string, write func(over *string) error) (*store.Skill, error) {
	for range skillTries {
		old, err := s.store.Skill(ctx, by.MeshID, name)
		var over *string
		switch {
		case errors.Is(err, store.ErrNotFound):
			old = nil
		case err != nil:
			return nil, core.Unavailable(err)
		case old.MemberID != by.ID && !by.admin():
			return nil, core.Refuse(sdk.ReasonForbidden,
				"only the member that shared this skill, the owner of the mesh and its admins may change it: use another name")
		default:
			over = &old.MemberID
		}
		err = write(over)
		switch {
		case err == nil:
			return old, nil
		case !errors.Is(err, store.ErrConflict):
			return nil, noRoom(err, "skills", "remove some")
		}
	}
	return nil, core.Refuse(sdk.ReasonUnavailable, "many change this skill at once: try again in a moment")
}

// checkSkill returns the manifest without spaces, nil for none.
func checkSkill(m *wire.ShareSkill) ([]byte, error) {
	switch {
	case m.Name == "":
		return nil, core.Refuse(sdk.ReasonInvalid, "name: want at least one byte")
	case m.Manifest == nil || m.Manifest.Kind() == jsontext.KindNull:
		return nil, nil
	case wire.Depth(m.Manifest) > valueDepth:
		return nil, core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("manifest: want at most %d levels of objects and lists", valueDepth))
	}
	if err := m.Manifest.Compact(); err != nil {
		return nil, core.Refuse(sdk.ReasonInvalid, "manifest: want JSON")
	}
	return m.Manifest, nil
}

// ofSkill says what was done to a skill. The log outlives skills and keeps no
// instructions.
func ofSkill(event, name, instructions string) sdk.Record {
	sum := sha256.Sum256([]byte(instructions))
	return sdk.Record{Event: event, Payload: audit.Object(
		audit.String("name", name), audit.String("instructionsSha256", hex.EncodeToString(sum[:])))}
}

// get returns one skill.
func (s *skills) get(ctx context.Context, c *Call, m *wire.GetSkill) (wire.SkillData, error) {
	row, err := s.store.Skill(ctx, c.Env.Mesh, m.Name)
	if errors.Is(err, store.ErrNotFound) {
		return wire.SkillData{}, nil
	}
	if err != nil {
		return wire.SkillData{}, core.Unavailable(err)
	}
	shown, err := sightOf(c, s.roster)(ctx, row.MemberID)
	if err != nil || !shown {
		return wire.SkillData{}, err
	}
	return wire.SkillData{Skill: &wire.Skill{
		Name: row.Name, Description: row.Description, Instructions: row.Instructions, Tags: row.Tags, Author: row.Author,
		Manifest: row.Manifest, CreatedAt: row.CreatedAt,
	}}, nil
}

// list finds skills.
func (s *skills) list(ctx context.Context, c *Call, m *wire.ListSkills) (wire.SkillList, error) {
	found, err := inSight(ctx, sightOf(c, s.roster), func(row *store.Skill) string { return row.MemberID },
		func(except []string) ([]*store.Skill, error) {
			return s.store.FindSkills(ctx, c.Env.Mesh, m.Query, except, skillsPerMesh)
		})
	if err != nil {
		return wire.SkillList{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Name, found[row].Description, found[row].Author)
		add(found[row].Tags...)
	})]
	list := wire.SkillList{Skills: make([]wire.SkillBrief, len(found))}
	for i, row := range found {
		list.Skills[i] = wire.SkillBrief{
			Name: row.Name, Description: row.Description, Tags: row.Tags, Author: row.Author, CreatedAt: row.CreatedAt,
		}
	}
	return list, nil
}
