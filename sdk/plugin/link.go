package plugin

import "context"

// callOf is the context key of the instance that a call is about.
type callOf struct{}

// within returns a context of a call that is about the instance.
func (in *instance) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, callOf{}, in)
}

// instanceOf returns the instance that a call is about, or nil.
func instanceOf(ctx context.Context) *instance {
	in, _ := ctx.Value(callOf{}).(*instance)
	return in
}

// Link returns the name of the link in the broker's config that a call is
// about: of Start, Handle or Stop, by their context. It is empty for any other
// context, and where the stage is no plugin.
//
// A line that log/slog is given with such a context is logged as the link's.
// Done has no context, and neither has a goroutine of the stage's own: they use
// the one that Start keeps with context.WithoutCancel.
func Link(ctx context.Context) string {
	if in := instanceOf(ctx); in != nil {
		return in.link
	}
	return ""
}
