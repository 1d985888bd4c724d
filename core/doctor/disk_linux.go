package doctor

import "golang.org/x/sys/unix"

// fileSystems are those that matter, by what statfs says they are.
var fileSystems = map[int64]string{
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.RAMFS_MAGIC:           "ramfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NFS_SUPER_MAGIC:       "nfs",
	unix.SMB_SUPER_MAGIC:       "smb",
	unix.SMB2_SUPER_MAGIC:      "smb",
	unix.CIFS_SUPER_MAGIC:      "cifs",
	unix.V9FS_MAGIC:            "9p",
}

func diskOf(path string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Disk{}, err
	}
	return Disk{
		Type: fileSystems[int64(s.Type)],                                        //nolint:unconvert // some systems have 32 bits there
		Free: s.Bavail * uint64(s.Bsize), ReadOnly: s.Flags&unix.ST_RDONLY != 0, //nolint:gosec // a size is not negative
	}, nil
}
