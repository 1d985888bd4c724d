// Package core has the word that all of the engine uses for a request that
// could not be done. The engine is in the folders, here in the order in which
// an envelope meets them:
//
//	edge      what every HTTP request passes first: who calls from where, and how often
//	server    the port: upgrades a request to a socket, makes any other an envelope
//	hub       the sockets: reads frames, writes them, notices the dead and the slow
//	exchange  one frame from its first byte to its answer, in the order of a connection
//	wire      what frames say, as structs
//	chain     asks the stages, which judge, and the last of which answers
//	roster    who belongs to a mesh, and what they allow; stages and features ask it
//	caller    who asks over HTTP: an account by its token, a member by its signature
//	feature   the answers: one file per group of messages
//	api       the answers over HTTP: one file per group of routes
//	issue     what a mesh's secrets sign and seal: meshes, invites, root keys
//	presence  who is here; whom a target means
//	delivery  messages until they are confirmed
//	commit    what must be on disk before an answer, a transaction for all who wait
//	store     the tables; sqlite and postgres are its engines
//
// Beside the road stand identity, token and audit (the mathematics of keys, of
// sign-ins and of the log), bucket (rates), config, telemetry, and what operators use: admin, control and dial. The
// folder app puts it all together. No folder below core knows a stage: cmd
// brings both together.
package core
