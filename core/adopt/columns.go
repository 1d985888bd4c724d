package adopt

// table is what is read of one table.
type table struct {
	schema    string
	name      string
	essential bool // without the table there is nothing to import
	quiet     bool // nobody misses the table
	columns   []column
}

// column is one value that is read of each row.
type column struct {
	name    string
	need    bool   // a table without it cannot be read
	other   string // another spelling that some databases have
	without string // what it means that the column is missing; empty when nobody notices
}

// required are columns without which a table cannot be read.
func required(names ...string) (list []column) {
	for _, n := range names {
		list = append(list, column{name: n, need: true})
	}
	return list
}

// optional are columns whose default nobody notices.
func optional(names ...string) (list []column) {
	for _, n := range names {
		list = append(list, column{name: n})
	}
	return list
}

// tables are all of them, with the columns of every generation, in the order
// of the report.
func tables() []table {
	return []table{
		{schema: accountSchema, name: "user", columns: append(required("id"), optional("email", "name", "created_at")...)},

		{schema: schema, name: "mesh", essential: true, columns: append(required("id"), append(optional("name", "slug", "owner_user_id", "created_at", "archived_at"),
			column{name: "owner_pubkey", without: "nobody can join by an invite"},
			column{name: "owner_secret_key", without: "this broker cannot sign invites"},
			column{name: "root_key", without: "this broker cannot sign invites"},
			column{name: "self_editable", without: "members may edit their whole profile"})...)},

		{schema: schema, name: "member", essential: true, columns: append(required("id", "mesh_id", "peer_pubkey", "revoked_at"), append(
			optional("user_id", "display_name", "role", "joined_at"),
			column{name: "role_tag", without: "members have no role tag"},
			column{name: "default_groups", without: "members have no default groups"},
			column{name: "message_mode", without: "every member's message mode is push"},
			column{name: "peer_grants", without: "members allow everybody the defaults"})...)},

		{schema: schema, name: "permission", columns: append(required("mesh_id", "member_id"), permissionColumns()...)},

		{schema: schema, name: "invite", columns: append(required("id", "mesh_id", "token", "max_uses", "used_count", "expires_at", "revoked_at"),
			append(optional("code", "role", "preset", "created_by", "created_at", "version"),
				column{name: "capability_v2", other: "capability_v_2"})...)},

		{schema: schema, name: "peer_state", columns: append(required("mesh_id", "member_id"),
			optional("groups", "profile", "visible", "last_summary", "cumulative_stats", "last_seen_at")...)},

		{schema: schema, name: "state", columns: append(required("mesh_id", "key", "value"), optional("updated_by_name", "updated_at")...)},

		{schema: schema, name: "memory", columns: append(required("id", "mesh_id", "content", "forgotten_at"),
			optional("tags", "remembered_by", "remembered_by_name", "remembered_at")...)},

		{schema: schema, name: "context", columns: append(required("id", "mesh_id", "member_id", "summary"),
			optional("peer_name", "files_read", "key_findings", "tags", "updated_at")...)},

		{schema: schema, name: "task", columns: append(required("id", "mesh_id", "title", "status"), optional("assignee", "claimed_by_name",
			"priority", "tags", "result", "created_by_name", "created_at", "claimed_at", "completed_at")...)},

		{schema: schema, name: "scheduled_message", columns: append(required("id", "mesh_id", "member_id", "to", "message", "deliver_at", "cron", "cancelled", "fired_at"),
			optional("subtype", "created_at")...)},

		{schema: schema, name: "presence", columns: required("member_id", "session_pubkey", "connected_at", "last_ping_at", "disconnected_at")},

		{schema: schema, name: "message_queue", columns: append(
			required("id", "mesh_id", "sender_member_id", "target_spec", "nonce", "ciphertext", "created_at", "delivered_at"),
			optional("sender_session_pubkey", "priority", "client_message_id", "request_fingerprint")...)},

		{schema: schema, name: "audit_log", columns: append(
			required("id", "mesh_id", "event_type", "actor_member_id", "payload", "prev_hash", "hash", "created_at"),
			optional("actor_display_name")...)},

		{schema: schema, name: "topic", columns: append(required("id", "mesh_id", "name", "visibility", "created_at", "archived_at"),
			append(optional("description", "created_by_member_id"),
				column{name: "encrypted_key_pubkey", without: "topics have no keys"})...)},

		{schema: schema, name: "topic_member", columns: append(required("id", "topic_id", "member_id", "role", "joined_at"),
			optional("last_read_at")...)},

		{schema: schema, name: "topic_member_key", columns: required(
			"id", "topic_id", "member_id", "encrypted_key", "nonce", "created_at")},

		{schema: schema, name: "topic_message", columns: append(
			required("id", "topic_id", "sender_member_id", "nonce", "ciphertext", "created_at"),
			optional("sender_session_pubkey", "body_version", "reply_to_id")...)},

		{schema: schema, name: "notification", columns: append(
			required("id", "mesh_id", "topic_id", "message_id", "recipient_member_id", "sender_member_id", "created_at", "read_at"),
			optional("kind")...)},

		{schema: schema, name: "stream", columns: append(required("id", "mesh_id", "name"), optional("created_by_name", "created_at")...)},

		{schema: schema, name: "skill", columns: append(required("id", "mesh_id", "name", "description", "instructions"),
			optional("tags", "author_member_id", "author_name", "manifest", "created_at", "updated_at")...)},

		{schema: schema, name: "vault_entry", columns: append(
			required("id", "mesh_id", "member_id", "key", "ciphertext", "nonce", "sealed_key", "updated_at"),
			optional("entry_type", "mount_path", "description", "created_at")...)},

		{schema: schema, name: "api_key", columns: append(required("id", "mesh_id", "secret_hash", "secret_prefix", "capabilities",
			"topic_scopes", "issued_by_member_id", "revoked_at", "expires_at"), optional("label", "created_at", "last_used_at")...)},

		{schema: schema, name: "webhook", columns: append(required("id", "mesh_id", "name", "secret", "active", "created_by"),
			optional("created_at")...)},

		{schema: schema, name: "file", quiet: true, columns: required("id", "mesh_id", "deleted_at")},

		{schema: schema, name: "service", quiet: true, columns: required("id", "mesh_id")},
	}
}
