package reload

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
)

// load reads the config and replaces the chain by the one that it describes.
// After an error the old chain goes on.
func (r *Reloader) load(ctx context.Context, by admin.Trigger) (answer admin.Reload, drain func(context.Context) error, err error) {
	loaded, err := r.options.Load()
	read := r.read(loaded, err)
	if err != nil {
		return answer, nil, r.refused(by, err)
	}
	for _, w := range loaded.Warnings {
		r.log.Warn(w)
	}
	before := r.options.Chains.Config()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	changes, drain, err := r.options.Chains.Reload(ctx, loaded.Config)
	if err != nil {
		return answer, nil, r.refused(by, err)
	}
	answer = r.answer(before, loaded.Config, changes, read)
	answer.Applied = true
	answer.Generation = r.applied(by, loaded.SHA256, read)
	r.log.Info("reloaded", slog.String("by", string(by)), slog.Uint64("generation", answer.Generation),
		slog.String("config_sha256", loaded.SHA256), slog.Any("changes", answer.Changes), slog.Any("restart", answer.Restart))
	return answer, drain, nil
}

// check is a dry run. It runs beside a load that is under way.
func (r *Reloader) check(ctx context.Context) (*admin.Reload, error) {
	loaded, err := r.options.Load()
	if err != nil {
		return nil, notLoaded(err)
	}
	changes, err := r.options.Chains.CheckReload(ctx, loaded.Config)
	if err != nil {
		return nil, notLoaded(err)
	}
	answer := r.answer(r.options.Chains.Config(), loaded.Config, changes, filesOf(loaded))
	return &answer, nil
}

// answer says what a load changes. A plugin of which only the program is
// another has no difference in the config.
func (r *Reloader) answer(before, after config.Config, changes []string, read sums) admin.Reload {
	r.mu.Lock()
	running := r.running
	r.mu.Unlock()
	changes = append([]string{}, changes...)
	for _, l := range after.Pipeline {
		old, watched := running[programOf(l)]
		said := slices.ContainsFunc(changes, func(line string) bool { return strings.HasPrefix(line, l.Name+": ") })
		if watched && !said && read[programOf(l)] != old {
			changes = append(changes, l.Name+": another program")
		}
	}
	return admin.Reload{Changes: changes, Restart: needRestart(before, after)}
}

// read remembers what a load has read, so that the same content is no change
// when it is looked at again, right or wrong.
func (r *Reloader) read(loaded Loaded, err error) sums {
	now := filesOf(loaded)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil { // it does not say which programs count
		programs := maps.Clone(r.tried)
		maps.Copy(programs, now)
		now = programs
	}
	r.tried = now
	tell(r.news)
	return now
}

// applied counts the new generation.
func (r *Reloader) applied(by admin.Trigger, sum string, read sums) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = read
	return r.history.applied(by, sum)
}

// refused remembers why the old chain goes on.
func (r *Reloader) refused(by admin.Trigger, err error) error {
	err = notLoaded(err)
	_, text := admin.Explain(err)
	r.mu.Lock()
	generation := r.history.refused(by, text)
	r.mu.Unlock()
	r.log.Error("reload refused", slog.String("by", string(by)), slog.Uint64("generation", generation), slog.String("err", text))
	return err
}

// notLoaded is the refusal of a config, on one line.
func notLoaded(err error) error {
	return core.Refuse("invalid_config", "nothing was changed: "+strings.ReplaceAll(err.Error(), "\n", "; "))
}

// notDrained tells who waited that the new chain runs all the same.
func notDrained(generation uint64, err error) error {
	return core.Refuse("not_drained", fmt.Sprintf("generation %d runs, but the chain before it did not end well: %v", generation, err))
}
