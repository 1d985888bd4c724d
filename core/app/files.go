package app

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/store"
)

// newFiles returns what moves the bytes of files; nil where there are none.
func (a *App) newFiles(c config.Config, o Options) *files.Files {
	if o.Objects == nil {
		return nil
	}
	return files.New(files.Options{
		Store: o.Store, Objects: o.Objects, Keep: c.Files.Keep, Now: time.Now, Log: o.Log,
		Record: func(ctx context.Context, f *store.File) error { return a.Record(ctx, feature.FileUploaded(f)) },
	})
}

// fileOptions say what files there may be. Addresses of bytes are the broker's own,
// wherever links for people lead.
func (a *App) fileOptions(c config.Config) feature.FileOptions {
	o := feature.FileOptions{
		Tickets: a.options.Tokens, Base: func() string { return config.HTTP{}.Links(a.url()) },
		FileBytes: int64(c.Files.FileBytes), MeshBytes: int64(c.Files.MeshBytes),
	}
	if a.files != nil {
		o.Bytes = a.files
	}
	return o
}
