package graph

import (
	"fmt"
	"net/url"
	"time"

	"github.com/claudemesh/broker/sdk/plugin"
)

// queryTime is how long a query may take unless the options say otherwise: less
// than a link's 4 s, so that the refusal says why.
const queryTime = 3 * time.Second

// Options of the stage.
type Options struct {
	Meshes  map[string]Server `json:"meshes" doc:"the graph of each mesh, by the mesh's id. A mesh that is not here has none"`
	Timeout plugin.Duration   `json:"timeout" doc:"how long a query may take"`
	Rows    int               `json:"rows" doc:"most records of an answer" jsonschema:"minimum=1,maximum=10000"`
}

// Server is where the graph of one mesh is. The account has to reach nothing else:
// what it may do there, every member may.
type Server struct {
	URL         string `json:"url" doc:"Bolt address, such as bolt://neo4j:7687 or neo4j+s://neo4j.example.com"`
	Database    string `json:"database" doc:"name of the database; empty for the account's own"`
	User        string `json:"user" doc:"account that owns this mesh's graph and nothing else"`
	PasswordEnv string `json:"password_env" doc:"environment variable with its password, which the link's env has to list"`
}

// Default returns the options without any.
func Default() Options {
	return Options{Meshes: map[string]Server{}, Timeout: plugin.Duration(queryTime), Rows: 1000}
}

// Validate returns what a schema cannot say.
func (o Options) Validate() error {
	wrong := func(path, text string) error { return &plugin.OptionError{Path: path, Message: text} }
	if o.Timeout <= 0 {
		return wrong("timeout", "has to be above 0")
	}
	used := make(map[[3]string]string)
	for mesh, s := range o.Meshes {
		path := "meshes." + mesh
		if err := s.check(path); err != nil {
			return err
		}
		place := [3]string{s.URL, s.Database, s.User}
		if other, taken := used[place]; taken {
			return wrong(path, fmt.Sprintf("has the database and the account of %s: two meshes in one graph would see each other", min(other, mesh)))
		}
		used[place] = mesh
	}
	return nil
}

func (s Server) check(path string) error {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "":
		return &plugin.OptionError{Path: path + ".url", Message: "write a Bolt address, such as bolt://neo4j:7687"}
	case u.Scheme != "bolt" && u.Scheme != "bolt+s" && u.Scheme != "neo4j" && u.Scheme != "neo4j+s":
		return &plugin.OptionError{Path: path + ".url", Message: "write bolt://, bolt+s://, neo4j:// or neo4j+s://"}
	case s.User == "" || s.PasswordEnv == "":
		return &plugin.OptionError{Path: path, Message: "lacks user or password_env"}
	}
	return nil
}
