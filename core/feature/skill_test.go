package feature

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

func sharing(name, instructions string) string {
	return `{"type":"share_skill","name":` + quoted(name) + `,"description":"d","instructions":` + quoted(instructions) + `,"_reqId":1}`
}

// teach shares a skill and returns the refusal if there is one.
func (p *peer) teach(name, instructions string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(sharing(name, instructions))
	if strings.HasPrefix(answer, `{"type":"skill_ack","_reqId":1,`) && strings.HasSuffix(answer, `,"action":"shared"}`) {
		return ""
	}
	return answer
}

// skill returns a skill, nil for none.
func (p *peer) skill(name string) *wire.Skill {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"get_skill","name":` + quoted(name) + `}`)
	got, err := wire.Decode[wire.SkillData]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.Skill
}

// skills returns the names that a query finds.
func (p *peer) skills(query string) (names []string) {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"list_skills","query":` + quoted(query) + `}`)
	got, err := wire.Decode[wire.SkillList]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	for _, s := range got.Skills {
		names = append(names, s.Name)
	}
	return names
}

func TestSkillLife(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy", named("Cyrus"))
	answer, records := cy.ask(`{"type":"share_skill","name":"review","description":"looks at code","instructions":"1. Look",` +
		`"tags":["go"],"manifest":{"when_to_use": "often", "x":1.50},"_reqId":"s"}`)
	wantText(t, answer, `{"type":"skill_ack","_reqId":"s","name":"review","action":"shared"}`)
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("1. Look")))
	wantList(t, "records", recorded(records), []string{`skill_shared {"instructionsSha256":"` + sum + `","name":"review"}`})

	answer, _ = bo.ask(`{"type":"get_skill","name":"review","_reqId":"g"}`)
	begin := `{"type":"skill_data","_reqId":"g","skill":{"name":"review","description":"looks at code","instructions":"1. Look",` +
		`"tags":["go"],"author":"cy","manifest":{"when_to_use":"often","x":1.50},"createdAt":"2`
	if !strings.HasPrefix(answer, begin) {
		t.Errorf("got %s, want %s…", answer, begin)
	}
	answer, _ = bo.ask(`{"type":"list_skills","_reqId":"l"}`)
	begin = `{"type":"skill_list","_reqId":"l","skills":[{"name":"review","description":"looks at code","tags":["go"],"author":"cy","createdAt":"2`
	if !strings.HasPrefix(answer, begin) {
		t.Errorf("got %s, want %s…", answer, begin)
	}
	wantList(t, "found", bo.skills("REV"), []string{"review"})
	wantList(t, "found", bo.skills("%"), nil)

	first := bo.skill("review").CreatedAt
	wantText(t, cy.teach("review", "2. Look again"), "")
	again := bo.skill("review")
	if again.Instructions != "2. Look again" || len(again.Tags) > 0 || string(again.Manifest) != "null" || !again.CreatedAt.Equal(first) {
		t.Errorf("got %+v", again)
	}
	answer, _ = bo.ask(`{"type":"get_skill","name":"none","_reqId":"g"}`)
	wantText(t, answer, `{"type":"skill_data","_reqId":"g","skill":null}`)
	for _, action := range []string{"removed", "not_found"} {
		answer, records = cy.ask(`{"type":"remove_skill","name":"review","_reqId":"r"}`)
		wantText(t, answer, `{"type":"skill_ack","_reqId":"r","name":"review","action":"`+action+`"}`)
	}
	wantList(t, "records of what was not there", recorded(records), nil)
}

func TestFlawExt21OnlyItsAuthorAndAdminsChangeASkill(t *testing.T) {
	for by, may := range map[string]bool{"bo": true, "cy": false, "gil": true, "ada": true} {
		t.Run(by, func(t *testing.T) {
			r := newRig(t)
			bo, other := r.join("bo"), r.join(by, named("another"))
			wantText(t, bo.teach("k", "bo's"), "")
			removed, _ := other.ask(`{"type":"remove_skill","name":"k","_reqId":1}`)
			if may {
				wantText(t, bo.teach("k", "bo's"), "")
			}
			shared := other.teach("k", "another's")
			if refused := `"code":"forbidden","message":"only the member that shared this skill`; strings.Contains(removed, refused) == may ||
				strings.Contains(shared, refused) == may || may != (shared == "") {
				t.Errorf("got %s and %q", removed, shared)
			}
			if got := bo.skill("k"); may != (got.Instructions == "another's") || may != (got.Author == by || by == "bo") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSkillsHeedGrants(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.teach("bo's", "x")
	cy.teach("cy's", "x")
	r.allow("bo", "cy", store.CapDM)
	wantList(t, "list", cy.skills(""), []string{"cy's"})
	if got := cy.skill("bo's"); got != nil {
		t.Errorf("got %+v", got)
	}
	r.allow("bo", "cy", store.CapStateRead)
	wantList(t, "list", cy.skills(""), []string{"bo's", "cy's"})
	r.allow("bo", "cy")
	r.leave("bo") // grants end with their member
	wantList(t, "list", cy.skills(""), []string{"bo's", "cy's"})
}

func TestFlawExt28SkillsNeedAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.teach("k", "x")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	for _, frame := range []string{sharing("k", "y"), `{"type":"remove_skill","name":"k","_reqId":1}`} {
		got, _ := bo.ask(frame)
		wantText(t, got, `{"type":"error","_reqId":1,"code":"forbidden","message":"you do not have the permission canWriteState in this mesh: ask its owner or an admin for it"}`)
	}
	wantText(t, bo.skill("k").Instructions, "x")
}

func TestFlawExt44SkillIsRefusedAloud(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	deep := strings.Repeat("[", valueDepth+1) + strings.Repeat("]", valueDepth+1)
	for _, tt := range []struct{ frame, want string }{
		{`{"type":"share_skill","_reqId":1,"description":"","instructions":""}`, `{"type":"error","_reqId":1,"code":"invalid","message":"name: is required: want a string"}`},
		{`{"type":"share_skill","_reqId":1,"name":"k","description":""}`, `{"type":"error","_reqId":1,"code":"invalid","message":"instructions: is required: want a string"}`},
		{sharing("", "x"), `{"type":"error","_reqId":1,"code":"invalid","message":"name: want at least one byte"}`},
		{sharing("k", strings.Repeat("x", 49153)), `{"type":"error","_reqId":1,"code":"invalid","message":"instructions: at most 49152 bytes"}`},
		{
			`{"type":"share_skill","_reqId":1,"name":"k","description":"","instructions":"","manifest":` + deep + `}`,
			`{"type":"error","_reqId":1,"code":"invalid","message":"manifest: want at most 28 levels of objects and lists"}`,
		},
		{`{"type":"get_skill","_reqId":1,"name":7}`, `{"type":"skill_data","_reqId":1,"skill":null,"error":"invalid: name: want a string"}`},
		{`{"type":"list_skills","_reqId":1,"query":{}}`, `{"type":"skill_list","_reqId":1,"skills":[],"error":"invalid: query: want a string"}`},
	} {
		got, records := bo.ask(tt.frame)
		wantText(t, got, tt.want)
		wantList(t, "records", recorded(records), nil)
	}
}

func TestFlawExt31SkillsHaveRoom(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for i := range skillsPerMember {
		wantText(t, bo.teach(fmt.Sprint(i), "x"), "")
	}
	wantText(t, bo.teach("more", "x"), `{"type":"error","_reqId":1,"code":"capacity","message":"200 skills are yours, and that is all a member may have: remove some"}`)
	wantText(t, bo.teach("0", "y"), "")
	wantText(t, r.join("cy").teach("more", "x"), "")
}

// Members that share one new name at once are all answered: one has it, the
// others are told so.
func TestFlawExt55FirstSkillsAtOnce(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy")}
	for round := range 10 {
		var all sync.WaitGroup
		answers := make([]string, len(peers))
		for i, p := range peers {
			all.Go(func() { answers[i], _ = p.ask(sharing(fmt.Sprint(round), p.name)) })
		}
		all.Wait()
		slices.Sort(answers)
		if !strings.Contains(answers[0], `"code":"forbidden"`) || !strings.Contains(answers[1], `"action":"shared"`) {
			t.Errorf("got %q", answers)
		}
	}
}

// awaySkills fails with what a database would say.
type awaySkills struct{ SkillStore }

func (awaySkills) Skill(context.Context, string, string) (*store.Skill, error) { return nil, errAway }

func (awaySkills) FindSkills(context.Context, string, string, []string, int) ([]*store.Skill, error) {
	return nil, errAway
}

func TestFlawExt30SkillErrorsSayNothingOfTheStore(t *testing.T) {
	r := newRig(t)
	reg := NewRegistry()
	reg.roster = r.roster
	Skills(reg, awaySkills{}, r.roster)
	const away = "the broker cannot reach its store: try again in a moment"
	for frame, want := range map[string]string{
		sharing("k", "x"): `{"type":"error","_reqId":1,"code":"unavailable","message":"` + away + `"}`,
		`{"type":"get_skill","name":"k","_reqId":1}`:    `{"type":"skill_data","_reqId":1,"skill":null,"error":"unavailable: ` + away + `"}`,
		`{"type":"list_skills","_reqId":1}`:             `{"type":"skill_list","_reqId":1,"skills":[],"error":"unavailable: ` + away + `"}`,
		`{"type":"remove_skill","name":"k","_reqId":1}`: `{"type":"error","_reqId":1,"code":"unavailable","message":"` + away + `"}`,
	} {
		got, _ := r.join("bo").askOf(reg, frame)
		wantText(t, got, want)
	}
}

// Whatever peers share and remove, skills are what was left by those who may.
func TestSkillProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
	type known struct {
		author int
		text   string
	}
	model := map[string]known{}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, len(peers)-1).Draw(rt, "peer")
		name := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "c", "%", "'", ""}), rapid.String()).Draw(rt, "name")
		old, there := model[name]
		may := !there || old.author == n || n == 2
		bad := len(name) > 128 || strings.Contains(name, "\x00")
		switch rapid.IntRange(0, 2).Draw(rt, "what") {
		case 0:
			text := rapid.SampledFrom([]string{"", "x", "é\n"}).Draw(rt, "text")
			switch refused := peers[n].teach(name, text); {
			case bad || name == "":
				if !strings.Contains(refused, `"code":"invalid"`) {
					rt.Fatalf("got %s", refused)
				}
			case may != (refused == ""):
				rt.Fatalf("may: %v, got %s", may, refused)
			case may:
				model[name] = known{n, text}
			}
		case 1:
			got, _ := peers[n].ask(`{"type":"remove_skill","_reqId":1,"name":` + quoted(name) + `}`)
			if removed := strings.Contains(got, `"action":"removed"`); !bad && removed != (there && may) {
				rt.Fatalf("may: %v, got %s", may, got)
			}
			if may && !bad {
				delete(model, name)
			}
		case 2:
			if bad {
				return
			}
			if got := peers[n].skill(name); (got != nil) != there || there && got.Instructions != old.text {
				rt.Fatalf("got %+v, want %+v", got, old)
			}
			if found := slices.Contains(peers[n].skills(name), name); found != there {
				rt.Fatalf("%q is found: %v", name, found)
			}
		}
	})
}
