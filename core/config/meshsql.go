package config

import (
	"net/url"
	"regexp"
	"time"
)

// MeshSQL says where the databases of meshes are, and what a statement may use.
type MeshSQL struct {
	Enabled          bool          `koanf:"enabled" doc:"give each mesh an SQL database. Without it mesh_query and the like are refused as not_available; what is there stays"`
	URL              Secret        `koanf:"url" doc:"PostgreSQL server of these databases, as postgres://user:password@host/database, with a role that may make roles and databases. Empty: the store's server; with the embedded store, files in mesh-sql below data_dir"`
	Template         string        `koanf:"template" doc:"PostgreSQL database that those of meshes are copies of, for a role that is no superuser; docs/mesh-sql.md says how to make one. Empty: the server's own, which only a superuser can make safe"`
	Prefix           string        `koanf:"prefix" doc:"what the names of databases and roles on PostgreSQL begin with. Brokers with different ones share nothing"`
	Databases        int           `koanf:"databases" limit:"1..100000" doc:"most databases of meshes on PostgreSQL, over all brokers with this prefix"`
	StatementTimeout time.Duration `koanf:"statement_timeout" limit:"100ms..1m" doc:"a statement that takes longer is undone. Clients wait 5s for an answer"`
	Statements       int           `koanf:"statements" limit:"1..64" doc:"statements that run at a time, over all meshes; of one mesh one runs at a time"`
	Rows             int           `koanf:"rows" limit:"1..100000" doc:"most rows of an answer, which has a megabyte at most"`
	MeshBytes        int           `koanf:"mesh_bytes" limit:"1048576..1099511627776" doc:"what the database of a mesh may have on disk. On PostgreSQL an empty one has some 8 MB"`
}

func defaultMeshSQL() MeshSQL {
	return MeshSQL{
		Enabled: true, Prefix: "meshdb", Databases: 1000, StatementTimeout: 3 * time.Second, Statements: 4, Rows: 1000, MeshBytes: 64 << 20,
	}
}

// sqlPrefix is what a name on PostgreSQL may begin with, so that it is within its 63
// bytes with the hash behind it.
var sqlPrefix = regexp.MustCompile(`^[a-z][a-z0-9_]{0,19}$`)

func (l *loader) meshSQL(c *Config) {
	if u, err := url.Parse(c.MeshSQL.URL.Reveal()); c.MeshSQL.URL != "" &&
		(err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql") {
		l.invalid([]string{"mesh_sql.url"}, "must begin with postgres:// or postgresql:// and be a valid URL; "+
			"characters such as @ : / in a password are written as %%40 %%3A %%2F")
	}
	if !sqlPrefix.MatchString(c.MeshSQL.Prefix) {
		l.invalid([]string{"mesh_sql.prefix"}, "must be 1 to 20 lower-case letters, digits and _, with a letter first; got %s", show(c.MeshSQL.Prefix))
	}
}
