package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// ShareSkill leaves instructions under a name for the other members of the mesh,
// in place of what was there, all of it. The member that shared a skill may
// replace it, the owner of the mesh and its admins; whoever does becomes its
// author. Its answer is a [SkillAck]. Errors: invalid; forbidden; capacity when
// there are too many.
type ShareSkill struct {
	Name         string         `json:"name" required:"true" max:"128" doc:"name of the skill, at least one byte"`
	Description  string         `json:"description" required:"true" max:"4096" doc:"what it is good for"`
	Instructions string         `json:"instructions" required:"true" max:"49152" doc:"what to do: any text"`
	Tags         []string       `json:"tags,omitempty" max:"32" each:"128" doc:"words by which it is found"`
	Manifest     jsontext.Value `json:"manifest,omitzero" max:"16384" doc:"any JSON, nested 28 levels at most, which the broker does not look into; none when absent or null"`
}

// FrameType returns share_skill.
func (ShareSkill) FrameType() string { return "share_skill" }

// RemoveSkill deletes a skill: one of the sender's member, or, for the owner of
// the mesh and its admins, any. Its answer is a [SkillAck]. Errors: invalid;
// forbidden.
type RemoveSkill struct {
	Name string `json:"name" required:"true" max:"128" doc:"name of the skill"`
}

// FrameType returns remove_skill.
func (RemoveSkill) FrameType() string { return "remove_skill" }

// SkillAck answers a [ShareSkill] and a [RemoveSkill].
type SkillAck struct {
	Name   string `json:"name" doc:"as it was sent"`
	Action string `json:"action" enum:"shared,removed,not_found" doc:"what was done"`
}

// FrameType returns skill_ack.
func (SkillAck) FrameType() string { return "skill_ack" }

// GetSkill asks for one skill. Its answer is a [SkillData].
type GetSkill struct {
	Name string `json:"name" required:"true" max:"128" doc:"name of the skill"`
}

// FrameType returns get_skill.
func (GetSkill) FrameType() string { return "get_skill" }

// SkillData answers a [GetSkill].
type SkillData struct {
	Skill *Skill `json:"skill" doc:"null when there is none, or its author does not let the asker read"`
	Error string `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns skill_data.
func (SkillData) FrameType() string { return "skill_data" }

// Skill is one skill, whole.
type Skill struct {
	Name         string         `json:"name" doc:"name of the skill"`
	Description  string         `json:"description" doc:"what it is good for"`
	Instructions string         `json:"instructions" doc:"what to do"`
	Tags         []string       `json:"tags" doc:"words by which it is found"`
	Author       string         `json:"author" doc:"name, at that time, of the member that shared it last"`
	Manifest     jsontext.Value `json:"manifest" doc:"as it was sent, but for spaces; null when there is none"`
	CreatedAt    time.Time      `json:"createdAt" doc:"when it was shared first"`
}

// ListSkills asks which skills there are. Its answer is a [SkillList].
type ListSkills struct {
	Query string `json:"query,omitempty" max:"1024" doc:"part of a name, a description or a tag, in any case; no character stands for another one. All when absent or empty"`
}

// FrameType returns list_skills.
func (ListSkills) FrameType() string { return "list_skills" }

// SkillList answers a [ListSkills]. An answer with more than a megabyte of skills
// ends there.
type SkillList struct {
	Skills []SkillBrief `json:"skills" doc:"by the bytes of their names, without those whose author does not let the asker read"`
	Error  string       `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns skill_list.
func (SkillList) FrameType() string { return "skill_list" }

// SkillBrief is one skill without its longer parts.
type SkillBrief struct {
	Name        string    `json:"name" doc:"name of the skill"`
	Description string    `json:"description" doc:"what it is good for"`
	Tags        []string  `json:"tags" doc:"words by which it is found"`
	Author      string    `json:"author" doc:"name, at that time, of the member that shared it last"`
	CreatedAt   time.Time `json:"createdAt" doc:"when it was shared first"`
}
