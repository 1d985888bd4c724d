package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/sdk"
)

// mostReasons is how many reasons of one stage are shown.
const mostReasons = 12

// chainView is the chain, drawn from left to right.
type chainView struct {
	Insecure bool
	Running  int      // links that are not disabled
	Down     []string // names of links
	Cards    []card
	Outside  []reasonView // refusals before and after the chain
	Paths    []pathView
}

// card is a link, or what is before the first or behind the last.
type card struct {
	ID     string
	Link   *linkView // nil for an end of the chain
	Name   string    // of an end
	Rate   string
	Text   string
	Last   bool
	Number int
}

func (c card) id() string { return c.ID }

type linkView struct {
	Name, Stage, Role, RoleText string
	Plugin                      string
	State                       state
	Why                         string // it is down
	Shadow, Required            bool
	Watches                     bool   // it has no verdicts, and so no rates
	Rate, Refused, Failed       string // a second; failed is empty at 0
	Refusing                    bool
	Curve                       string
	Time                        quantiles
	P50, P99                    string
	Policy, PolicyText          string
	Deadline                    string
	Kinds, Filter               string
	Also                        string
	Reasons                     []reasonView
	RefusedTotal                string
	MoreReasons                 string // how often for the reasons that are not shown
	Totals                      []total
	Failures                    []total
}

// reasonView is how often something was refused for a reason.
type reasonView struct {
	Reason, Count string
	Part          int // of all, in percent
	n             uint64
}

type total struct{ Name, Value string }

// pathView is the kinds that visit the same links.
type pathView struct {
	Kinds string
	Links []string
}

func newChain(s *Snapshot, r rates) chainView {
	v := chainView{Insecure: s.Chain.Insecure, Paths: newPaths(s.Chain.Paths)}
	phases := map[string]string{}
	for i := range s.Plugins {
		phases[s.Plugins[i].Link] = s.Plugins[i].Phase
	}
	v.Cards = append(v.Cards, card{ID: "link-in", Name: "Peers and HTTP callers", Rate: rate(r.Frames), Text: "frames read"})
	names := map[string]bool{}
	for i, d := range s.Chain.Links {
		names[d.Name] = true
		l := newLink(d, phases[d.Name], s.Reasons, r.Links[d.Name])
		switch {
		case l.State == stateDown || l.State == stateQuarantined:
			v.Down = append(v.Down, l.Name)
			v.Running++
		case d.Enabled:
			v.Running++
		}
		v.Cards = append(v.Cards, card{ID: "link-at-" + anchor(d.Name), Link: l, Number: i + 1})
	}
	v.Cards = append(v.Cards, card{ID: "link-out", Name: "Recipients", Rate: rate(r.Confirmed), Text: "deliveries confirmed", Last: true})
	v.Outside, _, _ = newReasons(s.Reasons, func(c refusals.Count) bool { return !names[c.Stage] })
	return v
}

func newLink(d chain.LinkDescription, phase string, reasons []refusals.Count, r linkRates) *linkView {
	l := &linkView{
		Name: d.Name, Stage: d.Stage, Role: d.Role, RoleText: roleText(d.Role), Plugin: d.Plugin,
		State: linkState(d, phase), Shadow: d.Shadow, Required: d.Required,
		Rate: unknown, Refused: unknown, P50: unknown, P99: unknown, Curve: curve(r.Curve), Time: r.Time,
		Kinds: kinds(d.Kinds), Filter: d.Filter, Also: strings.Join(d.Also, ", "),
	}
	if why, ok := strings.CutPrefix(d.Condition, "down: "); ok {
		l.Why = why
	}
	if !d.Enabled {
		return l
	}
	l.Policy, l.PolicyText = policyText(d)
	if d.Deadline > 0 {
		l.Deadline = length(d.Deadline)
	}
	if r.Time.Count > 0 {
		l.P50, l.P99 = length(r.Time.P50), length(r.Time.P99)
	}
	if d.Stats == nil {
		return l
	}
	l.Watches = d.Role == chain.RoleObserver.String() && len(d.Stats.Decisions) == 0
	l.Rate = rate(r.Asked)
	l.Refused, l.Refusing = rate(r.Refused), r.Refused > 0
	if r.Failed > 0 {
		l.Failed = rate(r.Failed)
	}
	var n uint64
	l.Reasons, n, l.MoreReasons = newReasons(reasons, func(c refusals.Count) bool { return c.Stage == d.Name })
	l.RefusedTotal = count(max(n, d.Stats.Total(sdk.Deny)+d.Stats.Total(sdk.Drop)))
	l.Totals, l.Failures = totals(d.Stats), failures(d.Stats)
	return l
}

func linkState(d chain.LinkDescription, phase string) state {
	switch {
	case !d.Enabled:
		return stateDisabled
	case phase == "quarantined":
		return stateQuarantined
	case strings.HasPrefix(d.Condition, "down"):
		return stateDown
	case d.Condition == "":
		return stateIdle
	case d.Shadow:
		return stateShadow
	default:
		return stateUp
	}
}

func roleText(role string) string {
	switch role {
	case "auth":
		return "proves who the sender is"
	case "route":
		return "hands the envelope to the owner of its type"
	case "observer":
		return "is told how it ended, and decides nothing"
	default:
		return "lets an envelope pass or refuses it"
	}
}

// policyText is what becomes of an envelope when the stage fails.
func policyText(d chain.LinkDescription) (word, text string) {
	one := func(p chain.Policy) string {
		switch p {
		case chain.FailClosed:
			return "deny the envelope"
		case chain.FailOpen:
			return "let the envelope pass"
		case chain.Fallback:
			return "ask " + cmp.Or(d.Fallback, "the fallback") + " in its place"
		case chain.Hold:
			return "wait until the stage is back"
		default:
			return ""
		}
	}
	word, text = string(d.OnFailure), one(d.OnFailure)
	if d.OnFailure == chain.Hold && d.Then != "" {
		word += ", then " + string(d.Then)
		text += ", then " + one(d.Then)
	}
	return word, text
}

// newReasons returns the reasons that pass, most frequent first, with the sum of
// all and that of those left out.
func newReasons(all []refusals.Count, pass func(refusals.Count) bool) (list []reasonView, sum uint64, more string) {
	by := map[sdk.Reason]uint64{}
	for _, c := range all {
		if pass(c) {
			by[c.Reason] += c.Count
			sum += c.Count
		}
	}
	for reason, n := range by {
		list = append(list, reasonView{Reason: string(reason), Count: count(n), Part: int(100 * n / sum), n: n}) //nolint:gosec // a percentage
	}
	slices.SortFunc(list, func(a, b reasonView) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.Reason, b.Reason))
	})
	if len(list) > mostReasons {
		left := uint64(0)
		for _, r := range list[mostReasons:] {
			left += r.n
		}
		list, more = list[:mostReasons], count(left)
	}
	return list, sum, more
}

func totals(s *chain.LinkStats) (list []total) {
	for v := sdk.Continue; v <= sdk.Answer; v++ {
		if n := s.Total(v); n > 0 {
			list = append(list, total{verdictText(v), count(n)})
		}
	}
	if f := s.Fallback; f != nil {
		list = append(list, total{"Decided by the fallback", count(f.Decided)}, total{"Failed by the fallback", count(f.Failed)})
	}
	if sh := s.Shadow; sh != nil {
		judged := uint64(0)
		for _, v := range sh.Verdicts {
			judged += v.Count
		}
		list = append(list, total{"Judged in shadow", count(judged)}, total{"Would have decided otherwise", count(sh.Disagreements)},
			total{"Not judged, for lack of room", count(sh.Dropped)})
	}
	return list
}

func verdictText(v sdk.Verdict) string {
	switch v {
	case sdk.Continue:
		return "Let pass"
	case sdk.Deny:
		return "Denied"
	case sdk.Drop:
		return "Dropped in silence"
	case sdk.Answer:
		return "Answered"
	default:
		return v.String()
	}
}

func failures(s *chain.LinkStats) (list []total) {
	for _, f := range s.Failures {
		list = append(list, total{f.Failure, count(f.Count)})
	}
	return list
}

// kinds writes a list of kinds, and how many more there are.
func kinds(list []sdk.Kind) string {
	const most = 8
	words := make([]string, 0, most+1)
	for i, k := range list {
		if i == most {
			words = append(words, "and "+strconv.Itoa(len(list)-most)+" more")
			break
		}
		words = append(words, string(k))
	}
	return strings.Join(words, ", ")
}

// newPaths puts kinds together that visit the same links.
func newPaths(paths []chain.PathDescription) (list []pathView) {
	at := map[string]int{}
	for _, p := range paths {
		key := strings.Join(p.Links, "\x00")
		kind := cmp.Or(string(p.Kind), "everything else")
		if i, ok := at[key]; ok {
			list[i].Kinds += ", " + kind
			continue
		}
		at[key] = len(list)
		list = append(list, pathView{kind, p.Links})
	}
	return list
}
