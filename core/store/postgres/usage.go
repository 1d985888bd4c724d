package postgres

import "github.com/claudemesh/broker/core/store"

// Usage implements [store.Pooled].
func (s *Store) Usage() store.Usage {
	now := s.pool.Stat()
	return store.Usage{
		InUse: int64(now.AcquiredConns()), Idle: int64(now.IdleConns()), Most: int64(now.MaxConns()),
		Waited: now.EmptyAcquireCount(), WaitTime: now.EmptyAcquireWaitTime(),
	}
}
