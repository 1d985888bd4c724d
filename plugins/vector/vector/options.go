package vector

import (
	"net/url"

	"github.com/claudemesh/broker/sdk/plugin"
)

// Options of the stage.
type Options struct {
	Dir        string           `json:"dir" doc:"directory of the documents; without qdrant.url it has to be there"`
	Documents  int              `json:"documents" doc:"most documents of a mesh" jsonschema:"minimum=1,maximum=1000000"`
	Delete     string           `json:"delete" doc:"who may delete a document. author: who stored it. anybody: every member" jsonschema:"enum=author,enum=anybody"`
	Embeddings EmbeddingOptions `json:"embeddings" doc:"where vectors come from"`
	Qdrant     QdrantOptions    `json:"qdrant" doc:"a Qdrant server that keeps the documents, in the place of dir"`
}

// EmbeddingOptions say where vectors come from.
type EmbeddingOptions struct {
	URL        string          `json:"url" doc:"an OpenAI-compatible endpoint, such as https://api.openai.com/v1/embeddings; it gets the texts. Empty: vectors are made here, of the words"`
	Model      string          `json:"model" doc:"model of the endpoint"`
	Dimensions int             `json:"dimensions" doc:"length of the model's vectors" jsonschema:"minimum=0,maximum=8192"`
	KeyEnv     string          `json:"key_env" doc:"environment variable with the key of the endpoint"`
	Timeout    plugin.Duration `json:"timeout" doc:"how long the endpoint may take"`
}

// QdrantOptions say where Qdrant is.
type QdrantOptions struct {
	URL        string `json:"url" doc:"address of its REST interface, such as http://qdrant:6333. Empty: documents are kept in dir"`
	Collection string `json:"collection" doc:"collection that holds the documents of all meshes; it is made when it is not there"`
	KeyEnv     string `json:"key_env" doc:"environment variable with its API key"`
}

// Default returns the options without any.
func Default() Options {
	return Options{
		Documents: 20_000, Delete: byAuthor,
		Embeddings: EmbeddingOptions{Timeout: plugin.Duration(endpointTime)},
		Qdrant:     QdrantOptions{Collection: "claudemesh"},
	}
}

// Who may delete a document.
const (
	byAuthor  = "author"
	byAnybody = "anybody"
)

// Validate returns what a schema cannot say.
func (o Options) Validate() error {
	wrong := func(path, text string) error { return &plugin.OptionError{Path: path, Message: text} }
	switch {
	case o.Dir == "" && o.Qdrant.URL == "":
		return wrong("dir", "name a directory, or a Qdrant server with qdrant.url")
	case o.Delete != byAuthor && o.Delete != byAnybody:
		return wrong("delete", "write author or anybody")
	case o.Qdrant.URL != "" && !isURL(o.Qdrant.URL):
		return wrong("qdrant.url", "write the address of its REST interface, such as http://qdrant:6333")
	case o.Qdrant.URL != "" && !collectionName.MatchString(o.Qdrant.Collection):
		return wrong("qdrant.collection", "write letters, digits, - and _")
	case o.Embeddings.URL != "" && !isURL(o.Embeddings.URL):
		return wrong("embeddings.url", "write the whole address, such as https://api.openai.com/v1/embeddings")
	case o.Embeddings.URL != "" && (o.Embeddings.Model == "" || o.Embeddings.Dimensions == 0):
		return wrong("embeddings", "an endpoint needs a model and the dimensions of its vectors")
	}
	return nil
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
