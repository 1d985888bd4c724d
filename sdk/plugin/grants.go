package plugin

import "slices"

// Grantee is a stage that has to know which of what it [Needs] and [Wants] the
// operator granted to its link.
//
// Granted is called once, after the stage was made and before Start; also, as
// making it, to judge a config that may never run. An error says which options
// want more than was granted, and refuses them; an [OptionError] names one. A
// stage whose Granted is not called, as inside the broker or in a test, has all
// that it could ask for.
type Grantee interface {
	Granted(grants Grants) error
}

// Grants are the capabilities that the operator granted to a link.
type Grants []Capability

// Has reports whether a capability was granted.
func (g Grants) Has(c Capability) bool { return slices.Contains(g, c) }

// grantsOf reads the capabilities of a message.
func grantsOf(list []string) Grants {
	g := make(Grants, len(list))
	for i, c := range list {
		g[i] = Capability(c)
	}
	return g
}

// tell tells a stage what was granted.
func (g Grants) tell(whole any) error {
	_, err := contained(func() (struct{}, error) {
		if s, ok := whole.(Grantee); ok {
			return struct{}{}, s.Granted(g)
		}
		return struct{}{}, nil
	})
	return err
}

// rights is what of the grants decides about a verdict. The others decide what
// the broker sends.
type rights struct{ audience, priority, drop, hold bool }

func (g Grants) rights() rights {
	return rights{
		audience: g.Has(AudienceRead), priority: g.Has(PriorityWrite),
		drop: g.Has(VerdictDrop), hold: g.Has(DeliveryHold),
	}
}
