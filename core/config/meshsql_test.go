package config

import (
	"strings"
	"testing"
)

func TestMeshSQL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, variable, want string }{
		{"it takes a server", "CLAUDEMESH_MESH_SQL__URL=postgres://u:secret@h/d", ""},
		{"it wants a PostgreSQL", "CLAUDEMESH_MESH_SQL__URL=mysql://u:secret@h/d", "mesh_sql.url: must begin with postgres://"},
		{"it wants a prefix that is a name", "CLAUDEMESH_MESH_SQL__PREFIX=Mesh-", "mesh_sql.prefix: must be 1 to 20"},
		{"it wants a prefix that leaves room for a hash", "CLAUDEMESH_MESH_SQL__PREFIX=abcdefghijklmnopqrstu", "mesh_sql.prefix: must be 1 to 20"},
		{"it wants time for a statement", "CLAUDEMESH_MESH_SQL__STATEMENT_TIMEOUT=0s", "mesh_sql.statement_timeout: must be from 100ms to 1m"},
	} {
		_, err := Load(Options{Environ: []string{tt.variable}})
		switch {
		case tt.want == "" && err != nil, tt.want != "" && err == nil:
			t.Errorf("%s: got %v", tt.name, err)
		case err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
