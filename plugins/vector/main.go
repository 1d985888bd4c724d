// Command vector is a plugin that keeps texts of meshes and finds them by what
// they are like. README.md says how to run it.
package main

import (
	"github.com/claudemesh/broker/plugins/vector/vector"
	"github.com/claudemesh/broker/sdk/plugin"
)

func main() { plugin.Serve(program()) }

func program() plugin.Plugin {
	example := vector.Default()
	example.Dir = "/var/lib/broker/vector"
	return plugin.Plugin{
		Name: "vector", Version: "1.0.0",
		Stages: []plugin.Stage{
			plugin.DefineOwner("vector", vector.Default(), vector.New,
				plugin.Summary("keeps texts and finds them by what they are like"),
				plugin.Needs(plugin.IdentityRead), plugin.Example(example),
				plugin.Answers("vector_store", (*vector.Stage).Store, plugin.About("keeps a text"), plugin.Permission("canWriteState")),
				plugin.Answers("vector_search", (*vector.Stage).Search, plugin.About("finds texts that are like another"),
					plugin.RefusedAs(vector.Results{Results: []vector.Result{}})),
				plugin.Answers("vector_delete", (*vector.Stage).Delete, plugin.About("deletes a text"), plugin.Permission("canWriteState")),
				plugin.Answers("list_collections", (*vector.Stage).List, plugin.About("lists where texts are"),
					plugin.RefusedAs(vector.Collections{Collections: []string{}})),
			),
		},
	}
}
