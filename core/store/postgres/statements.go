package postgres

// The statements of a batch. Each handles all rows of its kind at once.

var beginBatch = statement{name: "batch_begin", query: `BEGIN`}

var commitBatch = statement{name: "batch_commit", query: `COMMIT`}

// The transaction's id is for finding out what became of it.
var identify = statement{name: "batch_id", query: `SELECT pg_current_xact_id()::text`}

var identifyAsync = statement{
	name:  "batch_id_async",
	query: `SELECT pg_current_xact_id()::text, set_config('synchronous_commit', 'off', true)`,
}

// An id that another process remembers first is waited for, and left alone.
// Every process inserts in the same order, so that no two wait for each other.
var insertSent = statement{
	name: "batch_sent",
	query: `INSERT INTO sent (mesh_id, member_id, client_message_id, message_id, fingerprint, seq)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
		ON CONFLICT DO NOTHING`,
	columns: []column{textColumn, textColumn, textColumn, textColumn, bytesColumn, int8Column},
}

// Those of the sends that came second, by their place in the batch, with what
// was first.
var repeated = statement{
	name: "batch_repeated",
	query: `SELECT u.place, s.message_id, s.fingerprint
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
			u (mesh_id, member_id, client_message_id, seq, place)
		CROSS JOIN LATERAL (SELECT s.message_id, s.fingerprint FROM sent s WHERE s.mesh_id = u.mesh_id
			AND s.member_id = u.member_id AND s.client_message_id = u.client_message_id AND s.seq <> u.seq LIMIT 1) s`,
	columns: []column{textColumn, textColumn, textColumn, int8Column, int8Column},
}

// A message whose send has to be remembered is kept when that was done, in
// insertSent. The test is not EXISTS, which PostgreSQL may answer by reading the
// whole table into a hash.
const kept = ` WHERE NOT u.remembered OR (SELECT s.seq FROM sent s WHERE s.seq = u.seq) IS NOT NULL`

var insertMessages = statement{
	name: "batch_messages",
	query: `INSERT INTO message (seq, id, mesh_id, sender_member_id, sender_key, sender_session, sender_name,
			target_spec, priority, nonce, ciphertext, client_message_id, fingerprint, reply_to, trace, created_at,
			expires_at, extra)
		SELECT seq, id, mesh_id, sender_member_id, sender_key, sender_session, sender_name,
			target_spec, priority, nonce, ciphertext, client_message_id, fingerprint, reply_to, trace, created_at,
			expires_at, extra
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[],
			$8::text[], $9::smallint[], $10::bytea[], $11::bytea[], $12::text[], $13::bytea[], $14::text[], $15::text[],
			$16::timestamptz[], $17::timestamptz[], $18::text[], $19::bool[])
			u (seq, id, mesh_id, sender_member_id, sender_key, sender_session, sender_name,
			target_spec, priority, nonce, ciphertext, client_message_id, fingerprint, reply_to, trace, created_at,
			expires_at, extra, remembered)` + kept,
	columns: []column{int8Column, textColumn, textColumn, textColumn, bytesColumn, bytesColumn, textColumn,
		textColumn, int2Column, bytesColumn, bytesColumn, textColumn, bytesColumn, textColumn, textColumn,
		timeColumn, timeColumn, textColumn, boolColumn},
}

var insertDeliveries = statement{
	name: "batch_deliveries",
	query: `INSERT INTO delivery (seq, recipient, mesh_id, member_id, priority, expires_at)
		SELECT seq, recipient, mesh_id, member_id, priority, expires_at
		FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bool[])
			u (seq, recipient, mesh_id, member_id, priority, expires_at, remembered)` + kept + ` ON CONFLICT DO NOTHING`,
	columns: []column{int8Column, bytesColumn, textColumn, textColumn, int2Column, timeColumn, boolColumn},
}

var insertHeld = statement{
	name: "batch_held",
	query: `INSERT INTO held_delivery (seq, recipient, mesh_id, member_id, priority, expires_at, not_before)
		SELECT seq, recipient, mesh_id, member_id, priority, expires_at, not_before
		FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[], $7::bool[],
			$8::timestamptz[])
			u (seq, recipient, mesh_id, member_id, priority, expires_at, remembered, not_before)` + kept + ` ON CONFLICT DO NOTHING`,
	columns: []column{int8Column, bytesColumn, textColumn, textColumn, int2Column, timeColumn, boolColumn, timeColumn},
}

var settle = statement{
	name: "batch_settle",
	query: `UPDATE delivery d SET settled_at = u.at FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[])
		u (seq, recipient, at) WHERE d.seq = u.seq AND d.recipient = u.recipient AND d.settled_at IS NULL`,
	columns: []column{int8Column, bytesColumn, timeColumn},
}

var putPresences = statement{
	name: "batch_presences",
	query: `INSERT INTO presence AS p (` + presenceColumns + `)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[],
			$8::bigint[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bigint[], $14::text[])
		ON CONFLICT (id) DO UPDATE SET mesh_id = excluded.mesh_id, member_id = excluded.member_id,
			session_key = excluded.session_key, session_id = excluded.session_id, display_name = excluded.display_name,
			role = excluded.role, pid = excluded.pid, cwd = excluded.cwd, connected_at = excluded.connected_at,
			disconnected_at = excluded.disconnected_at, node = excluded.node, version = excluded.version,
			details = excluded.details
		WHERE excluded.version >= p.version`,
	columns: []column{textColumn, textColumn, textColumn, bytesColumn, textColumn, textColumn, textColumn,
		int8Column, textColumn, timeColumn, timeColumn, textColumn, int8Column, textColumn},
}

var putStates = statement{
	name: "batch_states",
	query: `INSERT INTO peer_state (` + stateColumns + `)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bool[], $7::text[],
			$8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::timestamptz[], $13::text[])
		ON CONFLICT (mesh_id, member_id, session_key) DO UPDATE SET groups = excluded.groups,
			profile = excluded.profile, visible = excluded.visible, summary = excluded.summary,
			status = excluded.status, status_source = excluded.status_source,
			status_updated_at = excluded.status_updated_at, stats = excluded.stats, last_seen_at = excluded.last_seen_at,
			kept = excluded.kept`,
	columns: []column{textColumn, textColumn, bytesColumn, textColumn, textColumn, boolColumn, textColumn,
		textColumn, textColumn, timeColumn, textColumn, timeColumn, textColumn},
}

var insertSessionKeys = statement{
	name: "batch_session_keys",
	query: `INSERT INTO session_key (mesh_id, pubkey, member_id, claimed_at)
		SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING`,
	columns: []column{textColumn, bytesColumn, textColumn, timeColumn},
}

// Where the chains of the batch's meshes go on, in one order for all processes;
// locked until the transaction ends. The head says where; ids also rise above
// any row that was put into the log behind its back, because otherwise that one
// row would make every commit fail.
var lockHeads = statement{
	name: "batch_heads",
	query: `SELECT h.mesh_id, h.hash, h.count,
			greatest(h.last_id, (SELECT max(a.id) FROM audit_log a WHERE a.mesh_id = h.mesh_id))
		FROM audit_head h WHERE h.mesh_id = ANY ($1::text[]) ORDER BY h.mesh_id FOR UPDATE OF h`,
	columns: []column{textColumn},
}

// The heads of chains that begin.
var beginHeads = statement{
	name: "batch_new_heads",
	query: `INSERT INTO audit_head (mesh_id, hash, count, last_id)
		SELECT mesh_id, '', 0, 0 FROM unnest($1::text[]) u (mesh_id) ON CONFLICT DO NOTHING`,
	columns: []column{textColumn},
}

var insertAudit = statement{
	name: "batch_audit",
	query: `INSERT INTO audit_log (` + auditColumns + `)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
			$8::text[], $9::text[])`,
	columns: []column{textColumn, int8Column, textColumn, textColumn, textColumn, textColumn, timeColumn,
		textColumn, textColumn},
}

var moveHeads = statement{
	name: "batch_move_heads",
	query: `UPDATE audit_head h SET hash = u.hash, count = u.count, last_id = u.last_id
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) u (mesh_id, hash, count, last_id)
		WHERE h.mesh_id = u.mesh_id`,
	columns: []column{textColumn, textColumn, int8Column, int8Column},
}

// batchStatements are all of them; each connection prepares them once.
var batchStatements = []*statement{
	&beginBatch, &commitBatch, &identify, &identifyAsync, &insertSent, &repeated, &insertMessages, &insertDeliveries,
	&insertHeld, &insertTopicMessages, &insertNotifications, &settle, &putPresences, &putStates, &insertSessionKeys, &lockHeads, &beginHeads, &insertAudit, &moveHeads,
}
