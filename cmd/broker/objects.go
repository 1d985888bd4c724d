package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/object/disk"
	"github.com/claudemesh/broker/core/object/s3"
)

// openFiles opens where the bytes of files are.
func (b *broker) openFiles(context.Context) error {
	objects, end, err := openObjects(b.config, b.log)
	if err != nil {
		return err
	}
	b.objects = objects
	b.later(end)
	return nil
}

// openObjects opens where the bytes of files are; nil where the broker shares none.
func openObjects(c config.Config, log *slog.Logger) (objects object.Store, end func() error, err error) {
	end = func() error { return nil }
	switch c.FileStorage() {
	case config.FilesOnDisk:
		if c.Store.Engine() == "postgres" {
			log.Warn("files are in a directory, and brokers that share a PostgreSQL have to share it too", slog.String("dir", c.FilesDir()))
		}
		d, err := disk.Open(c.FilesDir())
		if err != nil {
			return nil, end, fmt.Errorf("open files.dir: %w", err)
		}
		return d, d.Close, nil
	case config.FilesOnS3:
		o := c.Files.S3
		b, err := s3.New(s3.Options{
			Endpoint: o.Endpoint, Region: o.Region, Bucket: o.Bucket, Prefix: o.Prefix,
			AccessKey: o.AccessKey, SecretKey: o.SecretKey.Reveal(), TLS: o.TLS,
		})
		if err != nil {
			return nil, end, fmt.Errorf("files.s3: %w", err)
		}
		return b, end, nil
	default:
		return nil, end, nil
	}
}
