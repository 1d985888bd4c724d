package adopt

// table is what is read of one table.
type table struct {
	schema    string
	name      string
	essential bool // without the table there is nothing to import
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
		{accountSchema, "user", false, append(required("id"), optional("email", "name", "created_at")...)},

		{schema, "mesh", true, append(required("id"), append(optional("name", "slug", "owner_user_id", "created_at", "archived_at"),
			column{name: "owner_pubkey", without: "nobody can join by an invite"},
			column{name: "owner_secret_key", without: "this broker cannot sign invites"},
			column{name: "root_key", without: "this broker cannot sign invites"},
			column{name: "self_editable", without: "members may edit their whole profile"})...)},

		{schema, "member", true, append(required("id", "mesh_id", "peer_pubkey", "revoked_at"), append(
			optional("user_id", "display_name", "role", "joined_at"),
			column{name: "role_tag", without: "members have no role tag"},
			column{name: "default_groups", without: "members have no default groups"},
			column{name: "message_mode", without: "every member's message mode is push"},
			column{name: "peer_grants", without: "members allow everybody the defaults"})...)},

		{schema, "permission", false, append(required("mesh_id", "member_id"), permissionColumns()...)},

		{schema, "invite", false, append(required("id", "mesh_id", "token", "max_uses", "used_count", "expires_at", "revoked_at"),
			append(optional("code", "role", "preset", "created_by", "created_at", "version"),
				column{name: "capability_v2", other: "capability_v_2"})...)},

		{schema, "peer_state", false, append(required("mesh_id", "member_id"),
			optional("groups", "profile", "visible", "last_summary", "cumulative_stats", "last_seen_at")...)},

		{schema, "state", false, append(required("mesh_id", "key", "value"), optional("updated_by_name", "updated_at")...)},

		{schema, "memory", false, append(required("id", "mesh_id", "content", "forgotten_at"),
			optional("tags", "remembered_by", "remembered_by_name", "remembered_at")...)},

		{schema, "context", false, append(required("id", "mesh_id", "member_id", "summary"),
			optional("peer_name", "files_read", "key_findings", "tags", "updated_at")...)},

		{schema, "task", false, append(required("id", "mesh_id", "title", "status"), optional("assignee", "claimed_by_name",
			"priority", "tags", "result", "created_by_name", "created_at", "claimed_at", "completed_at")...)},

		{schema, "scheduled_message", false, append(required("id", "mesh_id", "member_id", "to", "message", "deliver_at", "cron", "cancelled", "fired_at"),
			optional("subtype", "created_at")...)},

		{schema, "presence", false, required("member_id", "session_pubkey", "connected_at", "last_ping_at", "disconnected_at")},

		{schema, "message_queue", false, append(
			required("id", "mesh_id", "sender_member_id", "target_spec", "nonce", "ciphertext", "created_at", "delivered_at"),
			optional("sender_session_pubkey", "priority", "client_message_id", "request_fingerprint")...)},

		{schema, "audit_log", false, append(
			required("id", "mesh_id", "event_type", "actor_member_id", "payload", "prev_hash", "hash", "created_at"),
			optional("actor_display_name")...)},
	}
}
