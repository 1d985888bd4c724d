package feature

import "context"

// announcer announces as a broker on its own does, without a limit.
type announcer struct{ rig *rig }

// Announce implements [Announcer].
func (a announcer) Announce(ctx context.Context, n Notice, write Write) error {
	changed, err := write(ctx, nil)
	if err == nil && changed {
		n.Tell(ctx, a.rig.dir, a.rig.roster)
	}
	return err
}

// Cast implements [Caster].
func (a announcer) Cast(ctx context.Context, n Notice) { n.Tell(ctx, a.rig.dir, a.rig.roster) }

// Stream implements [Caster].
func (a announcer) Stream(ctx context.Context, stream string, n Notice) {
	n.TellStream(ctx, a.rig.dir, a.rig.roster, stream)
}
