// Package adopt takes over the database of the broker that came before this
// one: its meshes with members, their accounts, invites, grants, permissions, audit chains,
// topics, API keys and webhooks, what members and sessions left behind, and the messages
// that wait. Of what it cannot take, such as shared files, it counts the rows.
//
// It reads the schema "mesh", and of "public" the accounts, over one connection, in one read-only snapshot,
// and asks which columns there are: databases of every generation of that
// broker differ, and what is missing gets its default. Every value is read as
// text, so that a row which does not fit is reported with a reason and never
// ends the import. [Run] hands one mesh at a time to the store.
package adopt
