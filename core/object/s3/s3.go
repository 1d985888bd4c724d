// Package s3 keeps objects in a bucket of an S3-compatible server.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/claudemesh/broker/core/object"
)

// tries is how often a request is sent that the server does not answer. A body can
// be sent only once.
const tries = 3

// deleteTimeout bounds what is deleted although its request is over.
const deleteTimeout = 10 * time.Second

// Options say where the server is, and who we are there.
type Options struct {
	Endpoint  string // host:port
	Region    string // empty: the server says
	Bucket    string // made when it is missing
	Prefix    string // before every key, without a slash at its end
	AccessKey string
	SecretKey string
	TLS       bool
}

// Bucket is an [object.Store] in a bucket.
type Bucket struct {
	options Options
	client  *minio.Client

	made atomic.Bool // the bucket is known to be there
}

var _ object.Store = (*Bucket)(nil)

// New returns a bucket. Nobody is asked yet: the server may be away when the broker
// starts.
func New(o Options) (*Bucket, error) {
	client, err := minio.New(o.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: o.TLS, Region: o.Region, MaxRetries: tries,
	})
	if err != nil {
		return nil, err
	}
	return &Bucket{options: o, client: client}, nil
}

// ready makes the bucket where it is missing. Several may do it at once, so that
// nobody waits behind those who wait for the server.
func (b *Bucket) ready(ctx context.Context) error {
	if b.made.Load() {
		return nil
	}
	there, err := b.client.BucketExists(ctx, b.options.Bucket)
	if err != nil {
		return err
	}
	if !there {
		err := b.client.MakeBucket(ctx, b.options.Bucket, minio.MakeBucketOptions{Region: b.options.Region})
		if code := minio.ToErrorResponse(err).Code; err != nil && code != minio.BucketAlreadyOwnedByYou && code != minio.BucketAlreadyExists {
			return err
		}
	}
	b.made.Store(true)
	return nil
}

func (b *Bucket) place(key string) (string, error) {
	if !object.Valid(key) {
		return "", object.ErrKey
	}
	return path.Join(b.options.Prefix, key), nil
}

// Put implements [object.Store].
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	to, err := b.place(key)
	if err != nil {
		return err
	}
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	watched := &watched{Reader: io.LimitReader(r, size)}
	// Nothing but an io.Reader: one that can seek would be read twice.
	_, err = b.client.PutObject(ctx, b.options.Bucket, to, struct{ io.Reader }{watched}, size, minio.PutObjectOptions{DisableMultipart: true})
	if watched.n < size {
		err = fmt.Errorf("%w: %w", object.ErrShort, errors.Join(watched.err, err))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("put object: %w", err), b.forget(ctx, key))
	}
	return nil
}

// forget deletes what may have been written of an object, also when its request was
// given up.
func (b *Bucket) forget(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	return b.Delete(ctx, key)
}

// watched counts what is read, and remembers why no more is.
type watched struct {
	io.Reader
	n   int64
	err error
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.n += int64(n)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Open implements [object.Store].
func (b *Bucket) Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	at, err := b.place(key)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return io.NopCloser(io.LimitReader(nil, 0)), nil
	}
	var o minio.GetObjectOptions
	if err := o.SetRange(offset, offset+size-1); err != nil {
		return nil, err
	}
	body, _, _, err := (&minio.Core{Client: b.client}).GetObject(ctx, b.options.Bucket, at, o)
	if err != nil {
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			err = object.ErrNotFound
		}
		return nil, fmt.Errorf("open object %s: %w", key, err)
	}
	return body, nil
}

// Delete implements [object.Store].
func (b *Bucket) Delete(ctx context.Context, key string) error {
	at, err := b.place(key)
	if err != nil {
		return err
	}
	err = b.client.RemoveObject(ctx, b.options.Bucket, at, minio.RemoveObjectOptions{})
	if err != nil && !missing(err) {
		return fmt.Errorf("delete object: %w", err)
	}
	return nil
}

// DeleteUnder implements [object.Store].
func (b *Bucket) DeleteUnder(ctx context.Context, key string) error {
	at, err := b.place(key)
	if err != nil {
		return err
	}
	for found := range b.client.ListObjectsIter(ctx, b.options.Bucket, minio.ListObjectsOptions{Prefix: at + "/", Recursive: true}) {
		err := found.Err
		if err == nil {
			err = b.client.RemoveObject(ctx, b.options.Bucket, found.Key, minio.RemoveObjectOptions{})
		}
		if err != nil && !missing(err) {
			return fmt.Errorf("delete objects: %w", err)
		}
	}
	return nil
}

// missing reports whether there is nothing to delete.
func missing(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == minio.NoSuchKey || code == minio.NoSuchBucket
}
