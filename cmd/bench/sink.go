package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// sinkTimeout bounds the header of a request; the exporter is on this machine.
const sinkTimeout = 5 * time.Second

// newSinkCommand makes the receiver of the spans of brokers that are measured:
// whoever stores them would cost more than the broker.
func newSinkCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "sink",
		Short: "Takes spans over OTLP (http/protobuf), and drops them",
		Example: `  bench sink --listen 127.0.0.1:4318 &
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_TRACES_SAMPLER=parentbased_always_on bench run --broker bin/broker`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return sink(c.Context(), listen, c.OutOrStdout()) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4318", "address, as host:port")
	return c
}

// sink serves until ctx ends, and says then what came.
func sink(ctx context.Context, address string, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	var requests, size atomic.Int64
	server := &http.Server{ReadHeaderTimeout: sinkTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		requests.Add(1)
		size.Add(n)
		w.Header().Set("Content-Type", "application/x-protobuf") // an empty message: all was taken
	})}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	_, err = fmt.Fprintf(out, "%d requests, %d bytes\n", requests.Load(), size.Load())
	return err
}
