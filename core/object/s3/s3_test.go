package s3_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/object/objecttest"
	"github.com/claudemesh/broker/core/object/s3"
)

// server starts an S3 server in this process, and returns its address.
func server(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func options(endpoint string) s3.Options {
	return s3.Options{Endpoint: endpoint, Region: "us-east-1", Bucket: "claudemesh", Prefix: "files", AccessKey: "a", SecretKey: "b"}
}

func TestBucket(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Store {
		b, err := s3.New(options(server(t)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// Brokers that share a bucket see each other's objects, whoever made it.
func TestShared(t *testing.T) {
	t.Parallel()
	endpoint := server(t)
	for _, key := range []string{"aa/file/1", "aa/file/2"} {
		b, err := s3.New(options(endpoint))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), key, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
		r, err := b.Open(t.Context(), "aa/file/1", 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that is away is no reason not to start, and an error then.
func TestAway(t *testing.T) {
	t.Parallel()
	b, err := s3.New(options("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "aa/file/1", strings.NewReader("x"), 1); err == nil {
		t.Error("written to nowhere")
	}
}
