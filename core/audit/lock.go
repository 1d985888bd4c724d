package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// LockKey returns the key of the advisory lock under which entries are appended
// to the mesh's chain. It is never negative. Two meshes share a key with
// probability 2^-63, and would then merely wait for each other.
func LockKey(meshID string) int64 {
	sum := sha256.Sum256([]byte("audit:" + meshID))
	return int64(binary.BigEndian.Uint64(sum[:8]) & math.MaxInt64)
}
