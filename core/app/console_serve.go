package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/claudemesh/broker/core/console"
)

// serveConsole opens the operator's page, where there is one. What works for it
// ends with work.
func (a *App) serveConsole(ctx, work context.Context) error {
	o, c := a.options.Console, a.options.Config.Console
	if o == nil || c.Listen == "" {
		return nil
	}
	source := newConsoleSource(a, *o)
	page := console.New(console.Options{ //nolint:contextcheck // it lives until closeConsole
		Listen: c.Listen, Token: o.Token, Anywhere: c.Anywhere, Source: source, Log: a.log,
		Proxies: a.options.Config.HTTP.Proxies(),
	})
	if err := page.Start(ctx); err != nil {
		return errors.Join(err, page.Close(ctx))
	}
	for _, task := range source.tasks() {
		a.tasks.Go(func() { task(work) })
	}
	a.console.Store(page)
	a.log.Info("console", slog.String("url", page.URL()))
	return nil
}

// closeConsole ends the page, in a third of the time that is left.
func (a *App) closeConsole(ctx context.Context) error {
	page := a.console.Load()
	if page == nil {
		return nil
	}
	ctx, cancel := third(ctx)
	defer cancel()
	err := page.Close(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Warn("stopping with somebody at the console")
		return nil
	}
	return err
}

// ConsoleURL returns where the operator's page is; empty where there is none, and
// before Run.
func (a *App) ConsoleURL() string {
	if page := a.console.Load(); page != nil {
		return page.URL()
	}
	return ""
}
