// Package graph runs the Cypher of members on Neo4j. Its stage owns graph_query
// and graph_execute.
//
// Cypher can reach whatever its account can, other databases included, so no check
// of a query keeps meshes apart. Here the operator names an account for each mesh,
// and a mesh without one has no graph.
package graph
