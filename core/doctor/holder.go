package doctor

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// process is one that holds a port.
type process struct {
	pid  int
	name string
}

// holder finds out which process has one of the sockets, where the system tells:
// Linux, of processes that this user may look at.
func (m *Machine) holder(sockets map[string]bool) (process, bool) {
	if len(sockets) == 0 {
		return process{}, false
	}
	processes, err := fs.ReadDir(m.Root, "proc")
	if err != nil {
		return process{}, false
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if has, _ := m.has(pid, sockets); has {
			name, _ := fs.ReadFile(m.Root, fmt.Sprintf("proc/%d/comm", pid))
			return process{pid, strings.TrimSpace(string(name))}, true
		}
	}
	return process{}, false
}

// listeningAt returns the inodes of the sockets that keep others from listening
// on an address, by the tables of the kernel: sl local rem st tx:rx tr:when
// retrnsmt uid timeout inode.
func (m *Machine) listeningAt(ctx context.Context, address string) map[string]bool {
	const (
		local, state, inode = 1, 3, 9
		listening           = "0A"
	)
	ours := m.resolve(ctx, address)
	inodes := map[string]bool{}
	for _, table := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		text, err := fs.ReadFile(m.Root, table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) <= inode || fields[state] != listening {
				continue
			}
			theirs, err := parseLocal(fields[local])
			if err == nil && slices.ContainsFunc(ours, func(a netip.AddrPort) bool { return overlap(a, theirs) }) {
				inodes[fields[inode]] = true
			}
		}
	}
	return inodes
}

// resolve returns what is listened on for an address of the config.
func (m *Machine) resolve(ctx context.Context, address string) (list []netip.AddrPort) {
	host, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil {
		return nil
	}
	hosts := []string{host}
	if host == "" {
		hosts = []string{"::"}
	} else if _, err := netip.ParseAddr(host); err != nil {
		hosts, _ = m.Lookup(ctx, host) // an unknown name has no sockets
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			list = append(list, netip.AddrPortFrom(ip.WithZone("").Unmap(), uint16(number)))
		}
	}
	return list
}

// parseLocal reads an address as the kernel's tables have it: words of four
// bytes, each in the order of the machine, in hex, a colon and the port.
func parseLocal(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	words, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	ip, ok := netip.AddrFromSlice(words)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}

// overlap reports whether only one of two addresses can be listened on: an
// unspecified one is all of its family, and :: mostly those of the other too.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	all := func(x, y netip.Addr) bool { return x.IsUnspecified() && (x.Is6() || y.Is4()) }
	return a.Addr() == b.Addr() || all(a.Addr(), b.Addr()) || all(b.Addr(), a.Addr())
}

// has reports whether a process has one of the sockets open. It is not known of
// one that this user may not look at.
func (m *Machine) has(pid int, sockets map[string]bool) (has, known bool) {
	dir := fmt.Sprintf("proc/%d/fd", pid)
	files, err := fs.ReadDir(m.Root, dir)
	if err != nil {
		return false, false // another user's
	}
	for _, f := range files {
		target, err := fs.ReadLink(m.Root, dir+"/"+f.Name())
		if err != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(target, "socket:["); ok && sockets[strings.TrimSuffix(rest, "]")] {
			return true, true
		}
	}
	return false, true
}
