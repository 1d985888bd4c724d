package doctor

import (
	"context"
	"crypto/tls"
	"io/fs"
	"net"
	"os"
	"time"
)

// Machine is what the checks ask of the machine that they run on.
type Machine struct {
	// Root is the file system, of which /proc and /sys are read. Systems without
	// them have less to say.
	Root fs.FS

	Disk      func(path string) (Disk, error)
	MayWrite  func(dir string) error // nil when this process may make files there
	Owner     func(fs.FileInfo) (uid int, ok bool)
	OpenFiles func() (limit uint64, err error) // of this process
	Listen    func(ctx context.Context, address string) error
	Lookup    func(ctx context.Context, host string) ([]string, error)
	Dial      func(ctx context.Context, address string) (net.Conn, error)
	Roots     *tls.Config                               // for certificates; nil for the system's
	Lookenv   func(name string) (value string, ok bool) // of this process
	Now       func() time.Time                          // with the monotonic clock
}

// Disk is the file system that a path is on.
type Disk struct {
	Type     string // as mount names it; empty when it is none that matters
	Free     uint64 // bytes that this user may fill
	ReadOnly bool
}

// ThisMachine is the one that the program runs on, with the environment that it
// was given.
func ThisMachine(lookenv func(string) (string, bool)) Machine {
	return Machine{
		Root: os.DirFS("/"), Disk: diskOf, MayWrite: mayWrite, Owner: ownerOf, OpenFiles: openFiles,
		Listen: tryListen, Lookup: new(net.Resolver).LookupHost,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
		Lookenv: lookenv, Now: time.Now,
	}
}

// tryListen takes an address and gives it back.
func tryListen(ctx context.Context, address string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
