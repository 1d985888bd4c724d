package pluginhost

import (
	"context"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Probe starts a link's program beside everything that runs, asks what it is
// and whether the link suits it, and ends it again. The error is what a start
// of the broker would say; the program is nil when it did not get as far as to
// describe itself.
func (h *Host) Probe(ctx context.Context, link config.Link) (*Program, error) {
	p, err := h.Launch(ctx, link)
	if err != nil {
		return nil, err
	}
	err = p.Suits(ctx, link)
	return p.Program, errors.Join(err, p.Close(ctx))
}

// Check is Probe for who wants to know only whether the link can be served.
func (h *Host) Check(ctx context.Context, link config.Link) error {
	_, err := h.Probe(ctx, link)
	return err
}

// Probed is a program that runs for whoever started it, and serves no link.
type Probed struct {
	Program *Program

	file    *process.Program
	process *process.Process
	client  pluginpb.PluginClient
}

// Launch starts a link's program and asks what it is. The caller closes it.
func (h *Host) Launch(ctx context.Context, link config.Link) (*Probed, error) {
	l := link.Plugin
	file, err := process.Open(l.Path, l.SHA256)
	if err != nil {
		return nil, err
	}
	proc, err := process.Start(ctx, file, process.Options{
		RunDir: h.o.RunDir, Args: l.Args, Env: l.Env, MTLS: l.MTLS, StartTimeout: l.StartTimeout,
	})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p := &Probed{file: file, process: proc, client: pluginpb.NewPluginClient(proc.Conn())}
	if p.Program, err = h.ask(ctx, proc.Conn(), true); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

// Process returns the process that runs.
func (p *Probed) Process() *process.Process { return p.process }

// Suits returns what keeps the link from being served by the program.
func (p *Probed) Suits(ctx context.Context, link config.Link) error {
	info, err := fit(link, p.Program)
	if err != nil {
		return fmt.Errorf("%s: %w", link.Name, err)
	}
	options, err := optionsOf(link)
	if err == nil {
		err = checkSchema(link.Name, info.Schema, options)
	}
	if err != nil {
		return err
	}
	return validate(ctx, p.client, link, info.Name, options)
}

// Close ends the program.
func (p *Probed) Close(ctx context.Context) error {
	return errors.Join(p.process.Stop(ctx), p.file.Close())
}
