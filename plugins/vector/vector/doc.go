// Package vector keeps texts of meshes and finds them by what they are like. Its
// stage owns vector_store, vector_search, vector_delete and list_collections.
//
// Documents are in a file of its own ([disk]) or in Qdrant ([qdrant]); the vectors
// come from the texts alone ([hashed]) or from an OpenAI-compatible endpoint
// ([endpoint]). What one mesh keeps, another never sees: the broker says which mesh
// asks, and no request can.
package vector
