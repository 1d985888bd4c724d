package console

import (
	"cmp"
	"slices"
	"strings"
)

type pluginsView struct {
	Cards []pluginCard
	Away  []string // links whose plugin does not run
}

type pluginCard struct {
	ID                         string
	Link, Name, Version, Where string
	Language, PID              string
	State                      state
	Down, Breaker              string
	Since, Next                moment
	Memory, CPU                string
	InHand, Waiting            string
	Pinned                     bool
	SHA256, ShortSHA           string
	Restarts                   []total
	RestartsTotal              string
	Ends                       []endView
	Quarantined                bool
}

func (c pluginCard) id() string { return c.ID }

type endView struct {
	At           moment
	Reason, Text string
	Stderr       string
}

func newPlugins(s *Snapshot, r rates) (v pluginsView) {
	for i := range s.Plugins {
		p := &s.Plugins[i]
		c := pluginCard{
			ID: "plugin-at-" + anchor(p.Link), Link: p.Link, Name: p.Name, Version: p.Version, Where: p.Program, Language: p.Language,
			State: pluginState(p), Down: p.Down, Since: momentOf(p.Since), Next: momentOf(p.Next),
			Memory: size(p.Memory), CPU: unknown, InHand: count(p.InHand), Waiting: count(p.Waiting),
			Pinned: p.Pinned, SHA256: p.SHA256, ShortSHA: short(p.SHA256), Quarantined: p.Phase == "quarantined",
		}
		if p.PID != 0 {
			c.PID = count(p.PID)
			c.PID = strings.ReplaceAll(c.PID, ",", "") // a number to type
			if part, ok := r.Plugins[p.Link]; ok {
				c.CPU = percent(part)
			}
		}
		if p.Breaker != "" && p.Breaker != "closed" {
			c.Breaker = p.Breaker
		}
		c.restarts(p)
		if c.State.Class == "bad" || c.State.Class == "warn" {
			v.Away = append(v.Away, p.Link)
		}
		v.Cards = append(v.Cards, c)
	}
	slices.SortStableFunc(v.Cards, func(a, b pluginCard) int { return cmp.Compare(a.Link, b.Link) })
	return v
}

func (c *pluginCard) restarts(p *Plugin) {
	sum := uint64(0)
	for reason, n := range p.Restarts {
		sum += n
		if n > 0 {
			c.Restarts = append(c.Restarts, total{reason, count(n)})
		}
	}
	slices.SortFunc(c.Restarts, func(a, b total) int { return cmp.Compare(a.Name, b.Name) })
	c.RestartsTotal = count(sum)
	for _, e := range p.Ends {
		c.Ends = append(c.Ends, endView{momentOf(e.At), e.Reason, e.Text, strings.TrimSpace(e.Stderr)})
	}
}

func pluginState(p *Plugin) state {
	switch p.Phase {
	case "quarantined":
		return stateQuarantined
	case "waiting":
		return stateWaiting
	case "stopped":
		return stateStopped
	case "starting":
		return stateStarting
	}
	if p.Down != "" {
		return stateDown
	}
	return stateUp
}

type configView struct {
	Known       bool
	File, SHA   string
	Generation  string
	At          moment
	By          string
	Failed      bool
	ErrorAt     moment
	Error       string
	CheckedAt   moment
	CheckAgain  moment
	Checked     bool
	Changes     []string
	Restart     []string
	ReloadError string
	ReloadSame  bool
}

func newConfig(c *Config) configView {
	v := configView{
		Known: c.Loaded.Generation > 0, File: c.File, SHA: short(c.Loaded.SHA256), Generation: count(c.Loaded.Generation),
		At: momentOf(c.Loaded.At), By: string(c.Loaded.By), CheckedAt: momentOf(c.CheckedAt), CheckAgain: momentOf(c.CheckAgain), ReloadError: c.ReloadError,
	}
	if e := c.Loaded.LastError; e != nil {
		v.Failed, v.ErrorAt, v.Error = true, momentOf(e.At), e.Text
	}
	if c.Reload != nil && c.ReloadError == "" {
		v.Checked, v.Changes, v.Restart = true, c.Reload.Changes, c.Reload.Restart
		v.ReloadSame = len(v.Changes) == 0 && len(v.Restart) == 0
	}
	return v
}

type nodesView struct {
	Unknown bool // the store has not answered yet
	Rows    []nodeRow
	Lost    []string // replicas whose lease is over
}

type nodeRow struct {
	ID, NodeID, ShortID, Host, Version, Slot string
	Self                                     bool
	State                                    state
	Lease                                    moment
	Bus                                      state
}

func (r nodeRow) id() string { return r.ID }

func newNodes(s *Snapshot) (v nodesView) {
	v.Unknown = s.StoreAt.IsZero()
	for _, n := range s.Nodes {
		r := nodeRow{
			ID: "node-at-" + anchor(n.ID), NodeID: n.ID, ShortID: short(n.ID), Host: n.Host, Version: n.Version, Slot: count(n.Slot),
			Self: n.Self, State: state{"Alive", "●", "ok"}, Lease: momentOf(n.Lease),
		}
		if !n.Held {
			r.State = state{"Lease over", "▼", "bad"}
			v.Lost = append(v.Lost, cmp.Or(n.Host, short(n.ID)))
		}
		if n.Self {
			r.Bus = stateUp
			if !n.BusUp {
				r.Bus = stateDown
			}
		}
		v.Rows = append(v.Rows, r)
	}
	slices.SortStableFunc(v.Rows, func(a, b nodeRow) int { return cmp.Compare(a.Slot, b.Slot) })
	return v
}
