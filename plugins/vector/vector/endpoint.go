package vector

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// endpointTime is how long an endpoint may take unless the options say otherwise:
// less than a link's 4 s, so that the refusal says why.
const endpointTime = 3 * time.Second

// endpoint asks an OpenAI-compatible server for vectors.
type endpoint struct {
	o    EmbeddingOptions
	call *call
}

func newEndpoint(o EmbeddingOptions, key string) *endpoint {
	if key != "" {
		key = "Bearer " + key
	}
	return &endpoint{o, newCall("Authorization", key)}
}

func (e *endpoint) model() string   { return e.o.Model }
func (e *endpoint) dimensions() int { return e.o.Dimensions }

func (e *endpoint) embed(ctx context.Context, text string) ([]float32, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(e.o.Timeout))
	defer cancel()
	var said struct {
		Data []struct {
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	body := map[string]any{"model": e.o.Model, "input": text, "encoding_format": "float"}
	if err := e.call.do(ctx, http.MethodPost, e.o.URL, body, &said); err != nil {
		return nil, fmt.Errorf("embeddings: %w", err)
	}
	if len(said.Data) != 1 || len(said.Data[0].Embedding) != e.o.Dimensions {
		return nil, fmt.Errorf("embeddings: the endpoint sent no vector of %d numbers", e.o.Dimensions)
	}
	return normal(said.Data[0].Embedding), nil
}
