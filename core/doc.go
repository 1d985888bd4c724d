// Package core has the word that all of the engine uses for a request that
// could not be done. The engine is in the folders, here in the order in which
// an envelope meets them:
//
//	server    the port: upgrades a request to a socket, serves HTTP
//	hub       the sockets: reads frames, writes them, notices the dead and the slow
//	exchange  one frame from its first byte to its answer, in the order of a connection
//	wire      what frames say, as structs
//	chain     asks the stages, which judge, and the last of which answers
//	roster    who belongs to a mesh, and what they allow; stages and features ask it
//	feature   the answers: one file per group of messages
//	presence  who is here; whom a target means
//	delivery  messages until they are confirmed
//	commit    what must be on disk before an answer, a transaction for all who wait
//	store     the tables; sqlite and postgres are its engines
//
// Beside the road stand identity and audit (the mathematics of keys and of the
// log), config, telemetry, and what operators use: admin, control and dial. The
// folder app puts it all together. No folder below core knows a stage: cmd
// brings both together.
package core
