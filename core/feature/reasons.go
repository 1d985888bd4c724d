package feature

import "github.com/claudemesh/broker/sdk"

// reason is what the documentation says about a refusal.
type reason struct {
	code    sdk.Reason
	meaning string // what is wrong
	do      string // what helps
}

// reasons lists every refusal that a peer or somebody who joins can meet, in
// groups with a title. Codes with a meaning that depends on the request come in
// the group that uses them most.
func reasons() []reasonGroup {
	const (
		again   = "Try again in a moment; the same request may be repeated."
		program = "A mistake in the client: repeating it does not help."
		invite  = "Ask for another invite."
	)
	return []reasonGroup{
		{"Saying hello", "A refused hello closes the connection with the same word, after the error frame.", []reason{
			{sdk.ReasonNoHello, "a request came before a hello", "Say hello first. The connection stays open for a few such frames."},
			{sdk.ReasonHelloTimeout, "no hello came in time", "Connect again and say hello at once."},
			{sdk.ReasonTooManyInvalid, "too many frames that were no hello", program},
			{sdk.ReasonSecondHello, "the connection has a session already", "Open another connection. This one stays open, with its session."},
			{sdk.ReasonMalformed, "the frame is not one JSON object, or a key or signature has the wrong form", program},
			{sdk.ReasonSkew, "the timestamp is no number, or more than 60 s from the broker's clock", "Set the clock."},
			{sdk.ReasonBadSignature, "a signature does not match what it should cover", program},
			{sdk.ReasonReplayed, "this signed hello was used before, by somebody else", "Sign a new one for each connection."},
			{sdk.ReasonUnauthorized, "nobody in the mesh has this key, the mesh is archived, or the session has ended. Over HTTP also: the mesh of a signature is not named by its id, the account of the member is disabled, or a one-time code is wrong or spent", "Join with an invite; after the end of a session, connect again. Over HTTP the text says which it is."},
			{sdk.ReasonRevoked, "the member is banned. The close code is 4002", "Ask the owner or an admin of the mesh."},
			{sdk.ReasonCapacity, "the mesh has as many sessions as it may; of other things that are counted the text says which", "Close one, or delete some; or ask the operator for more."},
			{sdk.ReasonUnknownMesh, "this broker has no such mesh", "Check the invite and the broker's address."},
			{sdk.ReasonBadSessionKey, "sessionPubkey is not an ed25519 key in lower-case hex, or is the member's own", program},
			{sdk.ReasonBadSessionProof, "the session key has not signed this hello", program},
			{sdk.ReasonSessionKeyTaken, "the session key is a member's, or another member used it first", "Make a fresh session key."},
			{sdk.ReasonBadParentKey, "parentMemberPubkey is not an ed25519 key in lower-case hex", program},
			{sdk.ReasonParentMismatch, "parentMemberId is not the id of the member with this key", program},
			{sdk.ReasonAttestation, "parentAttestation names other keys than the hello", program},
			{sdk.ReasonExpired, "the attestation has expired", "Let the member sign a new one."},
			{sdk.ReasonTTLTooLong, "the attestation is for longer than 24 hours", "Let the member sign a shorter one."},
		}},
		{"Messages", "A refused `send` gets an `ack` with `queued` false; its `error` begins with the word or says it in prose.", []reason{
			{sdk.ReasonRateLimit, "too many requests", "Wait, and send less often."},
			{sdk.ReasonTooLarge, "the message is larger than the operator allows", "Send less at a time."},
			{sdk.ReasonNoRecipient, "the target is nobody: no member of the mesh has the key", "Look the key up in the peer list."},
			{sdk.ReasonRecipientAway, "the recipient is not connected, and this broker keeps no messages", "Try again later."},
			{sdk.ReasonBlocked, "the recipient does not accept messages from this sender", "Ask the recipient by other means."},
			{sdk.ReasonIDReused, "the client_message_id was used for another message", "Use a new one for each message."},
		}},
		{"Requests", "", []reason{
			{sdk.ReasonInvalid, "a field is missing or has a wrong value; the text names it", program},
			{sdk.ReasonInvalidArguments, "an argument has a form that finds nothing", program},
			{sdk.ReasonUnknownType, "the broker knows no such type", "The client may be newer than the broker."},
			{ReasonNotAvailable, "only a plugin can answer that, and this broker has none for it", "Ask the operator to install the one that the text names; [messages.md](messages.md#plugins) lists them."},
			{sdk.ReasonNotFound, "nothing that concerns the asker has this name, key or id", "Check it."},
			{sdk.ReasonAmbiguous, "several keys or ids begin so, or several members have this name", "Give more of the key or id."},
			{sdk.ReasonForbidden, "the asker may not do this", "Ask the owner of the mesh or an admin; over HTTP `detail` may say more."},
			{ReasonInvalidArgs, "what is said of an API key is missing or wrong; the text names it", program},
			{ReasonTaskNotClaimable, "the task is claimed or done, or there is none with this id that concerns the asker", "List the tasks, and claim another one."},
			{ReasonNoClock, "the mesh has no clock", "Start one with `set_clock`."},
			{ReasonInvalidWebhook, "a webhook without a name, or with one, a target or a signature that cannot be; the text says which", program},
			{ReasonWebhookExists, "the mesh has a webhook with this name", "Choose another name, or delete or rotate that one."},
			{ReasonInvalidCron, "the expression of a schedule cannot be read, no date fits it, or its time zone is unknown; the text says which", "Write five fields as a crontab has them, and an IANA name; [schedules.md](schedules.md) has examples."},
			{ReasonTaskNotFound, "the mesh has no task with this id that concerns the asker", "Check it."},
			{ReasonTopicNotFound, "the mesh has no topic with this id or name that the asker may see", "Ask for `topic_list`."},
			{ReasonTopicNameTaken, "a topic that the asker may not see, or one that is archived, has this name", "Choose another name."},
			{ReasonTopicUnencrypted, "the topic has no key", "Send plain bodies, with bodyVersion 1."},
			{ReasonKeyNotSealed, "nobody has sealed the topic's key for the asker yet", "Try again when a member that has it is here."},
			{ReasonAlreadyEncrypted, "the topic has a key already", "Ask for a copy of it."},
			{ReasonNotInTopic, "whom the key was sealed for is not in the topic", "Seal it for who is."},
			{ReasonPeerNotFound, "the session that is asked is not connected, or not any more", "Look it up in the peer list."},
			{ReasonPeerBusy, "the session that is asked has too much to answer, or does not read what it is sent", again},
			{ReasonPeerTimeout, "the session that is asked did not answer in time", again},
			{ReasonPeerAnswer, "what the other session answered cannot be read, or this one has not read what it was sent before", "Ask for less at a time."},
			{ReasonMcpCall, "a tool cannot be called; the answer has the text alone, in the words of the original", "List the servers."},
			{ReasonQuery, "the database of the mesh refuses a `mesh_query`; the text has its words", "Change the statement; [mesh-sql.md](mesh-sql.md) has what may stand in one."},
			{ReasonExecute, "the same for a `mesh_execute`; nothing of it was done", "Change the statement."},
			{ReasonSchema, "the tables of the mesh could not be listed", again},
			{ReasonAuditQuery, "the audit log could not be read", again},
			{ReasonAuditVerify, "the audit log could not be verified, or is being verified for somebody else", again},
		}},
		{"The broker itself", "", []reason{
			{sdk.ReasonUnavailable, "the broker cannot reach its store", again},
			{sdk.ReasonShuttingDown, "the broker stops", "Connect again; clients do so by themselves."},
			{sdk.ReasonStageFailed, "a stage of the operator's pipeline failed", "Try again; if it stays so, tell the operator."},
			{sdk.ReasonRefused, "a plugin of the operator's pipeline refused, and gave no reason of its own", "Read the text; if it says nothing, ask the operator. Plugins may also use words of their own, which are not listed here."},
			{sdk.ReasonUnanswered, "no stage of the operator's pipeline answers", "Tell the operator: the pipeline lacks the route stage."},
			{sdk.ReasonInternal, "a mistake in the broker", "Tell the operator; the log has the cause."},
		}},
		{"Over HTTP", "In `code` of a refused request; [http.md](http.md) has the statuses.", []reason{
			{ReasonNoBearer, "the route asks who calls, and the request does not say, or with a credential that the route does not take: a member's signature where an account has to ask, or a scheme other than `Bearer` and `Mesh-Member`, spelt so", "Sign in, and send the token as `Authorization: Bearer`, or sign the request as a member where the route takes that; [http.md](http.md#routes) says which do."},
			{ReasonBadBearer, "the token is none of this broker's, was revoked or has expired, or its account is disabled", "Sign in again."},
			{ReasonKeyCapability, "the API key cannot do what the route does", "Make a key with the capability that the text names."},
			{ReasonKeyTopic, "the API key is for some topics alone, and this is none of them", "Ask about its topics, or make a key without `topicScopes`."},
			{"upgrade_required", "the path is a WebSocket, and the request does not ask for one", "Speak to it with a WebSocket client, version 13."},
			{"method_not_allowed", "the path has no such method; `Allow` lists those that it has", program},
			{"conflict", "something else has the name, or the thing is in another state already; the text says which", "Choose another name, or look at what is there."},
			{"locked", "another request sends bytes of the same upload", "Wait until it is over, ask how much has arrived, and go on from there."},
			{"gone", "what was asked for is over: a sign-in that has expired", "Begin anew."},
			{"encryption_key", "the broker has no key for the secrets of this mesh, or another one than they were sealed with", "Tell the operator; the log has the cause."},
			{"owner_key", "the owner key of the mesh does not fit its public key", "Tell the operator; the log has the cause."},
			{"no_key", "the mesh has no owner key or no root key, so it cannot have invites", "Tell the operator."},
			{"invite_v2_disabled", "the invite cannot be claimed by its code: the operator has switched that off, or the client does not prove the key that it wants to enrol; `detail` says which", "Send `peer_pubkey`, `timestamp` and `signature`, or join with the token, which `GET /api/public/invite-code/{code}` finds."},
			{"exhausted", "the invite has no use left", invite},
			{"sync_token_invalid", "the web application did not sign this token, or it is over or was used; the text says which", "Get a new one."},
			{"no_meshes", "the account has no mesh that the token names", "Ask the owner of the mesh for an invite."},
		}},
		{"Joining", "In the body of a refused `POST /join`.", []reason{
			{"invite_not_found", "the token is not one that this broker made, or a link or a code was sent in its place", "Send the token alone; `detail` says how to find it. Check the broker's address."},
			{"invite_bad_signature", "`invite_payload` is not what the token encodes, or not what its `owner_pubkey` signed", "Send the JSON inside the token as it is. If that is what you did, ask for another invite."},
			{"invite_owner_mismatch", "who signed the invite does not own the mesh", invite},
			{"invite_mesh_mismatch", "the invite is for another mesh", invite},
			{"invite_revoked", "the invite was withdrawn", invite},
			{"invite_expired", "the invite has expired", invite},
			{"invite_exhausted", "the invite has no use left", invite},
			{"mesh_not_found", "this broker has no mesh with the `mesh_id` of the payload, or it was deleted", "Check the broker's address."},
			{"mesh_missing_owner_key", "the mesh has no owner key, so nobody can sign its invites", "Tell the operator."},
		}},
	}
}

// reasonGroup is reasons with a title and a note.
type reasonGroup struct {
	title, note string
	reasons     []reason
}
