package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/claudemesh/broker/core/config"
)

// Bytes that the disk of a store should have free: below the first it is nearly
// full, below the second commits may fail at any time.
const (
	lowDisk  = 1 << 30
	fullDisk = 64 << 20
)

// consoleToken is the file of the console's generated token.
const consoleToken = "console-token"

// dataDir looks at the directory of the store and the control socket. It returns
// the directory, or the nearest one above it that is there.
func (r *round) dataDir() (dir string) {
	dir = r.Config.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.noDataDir(dir)
	case err != nil:
		r.fail(CheckDataDir, "let the user that the broker runs as enter it, or set data_dir to another directory", "%v", err)
		return ""
	case !info.IsDir():
		r.fail(CheckDataDir, "set data_dir to a directory", "%s is a file", dir)
		return ""
	}
	if err := r.Machine.MayWrite(dir); err != nil {
		r.fail(CheckDataDir, "let the user that the broker runs as write there (chown), run this as that user, or set data_dir to another directory",
			"%s cannot be written: %v", dir, err)
		return dir
	}
	if bits := info.Mode().Perm(); bits&0o077 != 0 {
		r.warn(CheckDataDir, "chmod 700 "+quoted(dir), "%s is open to other users (mode %04o), and has the store and a key in it", dir, bits)
	} else {
		r.ok(CheckDataDir, "%s", dir)
	}
	r.ownersIn(dir, info)
	return dir
}

// noDataDir looks at where the directory would be made.
func (r *round) noDataDir(dir string) string {
	above := filepath.Dir(dir)
	for above != filepath.Dir(above) {
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = filepath.Dir(above)
	}
	if err := r.Machine.MayWrite(above); err != nil {
		r.fail(CheckDataDir, "make "+quoted(dir)+" for the user that the broker runs as, or set data_dir to another directory",
			"%s is not there, and cannot be made in %s: %v", dir, above, err)
		return above
	}
	r.ok(CheckDataDir, "%s is not there yet: broker serve makes it", dir)
	return above
}

// ownersIn finds files that a command has made as another user, or opened to
// others.
func (r *round) ownersIn(dir string, info fs.FileInfo) {
	owner, known := r.Machine.Owner(info)
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(dir, f.Name())
		if uid, _ := r.Machine.Owner(info); known && uid != owner {
			r.warn(CheckDataDir, fmt.Sprintf("chown %d %s, and run commands as the user that the broker runs as", owner, quoted(path)),
				"%s belongs to user %d, and the directory to user %d", path, uid, owner)
		}
		if info.Mode().Perm()&0o077 != 0 && (filepath.Ext(path) == ".key" || f.Name() == consoleToken) {
			r.warn(CheckDataDir, "chmod 600 "+quoted(path), "%s is open to other users (mode %04o)", path, info.Mode().Perm())
		}
	}
}

// disk looks at the file system that the data directory is on.
func (r *round) disk(dir string) {
	if dir == "" {
		return
	}
	d, err := r.Machine.Disk(dir)
	if err != nil {
		r.ok(CheckDisk, "not known on this system")
		return
	}
	const elsewhere = "set data_dir to a directory on a local disk"
	embedded := r.Config.Store.Engine() == "sqlite"
	name := ""
	if d.Type != "" {
		name = ", on " + d.Type
	}
	switch {
	case d.ReadOnly:
		r.fail(CheckDisk, elsewhere+" that can be written", "%s is on a file system that is mounted read-only", dir)
	case d.Free < fullDisk:
		r.fail(CheckDisk, "make room, or "+elsewhere+" with more of it", "%s free%s: commits fail when it is full", bytes(d.Free), name)
	case !embedded:
		r.ok(CheckDisk, "%s free%s", bytes(d.Free), name)
	case isNetwork(d.Type):
		r.fail(CheckDisk, elsewhere+", or store.url to a PostgreSQL", "the store is on %s, whose locks and memory maps SQLite cannot rely on", d.Type)
	case r.Config.Store.Durability == config.SurvivesPower && forgets(d.Type):
		r.warn(CheckDisk, elsewhere+", or a volume of the container; or store.durability to process",
			"%s free%s: store.durability is power, and what is there does not survive %s", bytes(d.Free), name, endOf(d.Type))
	case d.Free < lowDisk:
		r.warn(CheckDisk, "make room", "%s free%s", bytes(d.Free), name)
	default:
		r.ok(CheckDisk, "%s free%s", bytes(d.Free), name)
	}
}

func isNetwork(fileSystem string) bool {
	return fileSystem == "nfs" || fileSystem == "smb" || fileSystem == "cifs"
}

// forgets reports whether a file system is gone with the machine's memory, or
// with the container.
func forgets(fileSystem string) bool {
	return fileSystem == "tmpfs" || fileSystem == "ramfs" || fileSystem == "overlay"
}

func endOf(fileSystem string) string {
	if fileSystem == "overlay" {
		return "the container"
	}
	return "a power cut"
}

// bytes is a size for people.
func bytes(n uint64) string {
	const unit = 1024
	switch {
	case n >= unit*unit*unit:
		return fmt.Sprintf("%.1f GiB", float64(n)/(unit*unit*unit))
	case n >= unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/(unit*unit))
	default:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	}
}
