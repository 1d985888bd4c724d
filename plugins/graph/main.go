// Command graph is a plugin that runs the Cypher of members on Neo4j. README.md
// says how to run it.
package main

import (
	"github.com/claudemesh/broker/plugins/graph/graph"
	"github.com/claudemesh/broker/sdk/plugin"
)

func main() { plugin.Serve(program()) }

func program() plugin.Plugin {
	example := graph.Default()
	example.Meshes["MESH-ID"] = graph.Server{URL: "bolt://neo4j:7687", Database: "team", User: "team", PasswordEnv: "GRAPH_TEAM"}
	return plugin.Plugin{
		Name: "graph", Version: "1.0.0",
		Stages: []plugin.Stage{
			plugin.DefineOwner("graph", graph.Default(), graph.New,
				plugin.Summary("runs Cypher on the graph of a mesh"), plugin.Example(example),
				plugin.Answers("graph_query", (*graph.Stage).Query, plugin.About("reads the graph"), plugin.Permission("canUseTools")),
				plugin.Answers("graph_execute", (*graph.Stage).Execute, plugin.About("changes the graph"), plugin.Permission("canWriteState")),
			),
		},
	}
}
