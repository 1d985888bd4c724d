package openapi

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/landing"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
)

// Fill writes the generated parts of docs/http.md between their markers.
func Fill(page string, routes []*api.Route) (string, error) {
	for name, part := range map[string]string{"routes": routeTables(routes), "signature": signatureExample()} {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, found := strings.Cut(page, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			return "", fmt.Errorf("the page has no markers %s… %s", begin, end)
		}
		page = before + begin + part + end + after
	}
	return page, nil
}

// routeTables lists the routes, one table for each group.
func routeTables(routes []*api.Route) string {
	var b strings.Builder
	var groups []string
	rows := map[string][]string{}
	add := func(group, method, path, who, what string) {
		if rows[group] == nil {
			groups = append(groups, group)
		}
		path, _ = pathOf(path)
		rows[group] = append(rows[group], fmt.Sprintf("| %s | `%s` | %s | %s |\n", method, path, who, strings.ReplaceAll(what, "|", `\|`)))
	}
	for _, r := range routes {
		add(r.Group, r.Method, r.Path, mayAsk(r), r.Summary)
	}
	for _, o := range besides() {
		add(o.group, o.method, o.path, "anybody", strings.ToLower(o.summary[:1])+o.summary[1:])
	}
	for _, pattern := range slices.Sorted(maps.Keys(landing.Handlers(nil, nil))) {
		method, path, _ := strings.Cut(pattern, " ")
		if !slices.ContainsFunc(routes, func(r *api.Route) bool { return r.Path == path }) {
			add(groupPages, method, path, "anybody", "shows how to join with an invite")
		}
	}
	for _, group := range groups {
		b.WriteString("\n### " + group + "\n\n| method | path | who may ask | what it does |\n| --- | --- | --- | --- |\n")
		b.WriteString(strings.Join(rows[group], ""))
	}
	b.WriteString("\n")
	return b.String()
}

// mayAsk says in a few words who may ask for a route.
func mayAsk(r *api.Route) string {
	text := map[feature.Access]string{
		feature.Anyone: "anybody", feature.AnyoneKnown: "anybody", feature.AnyCaller: "account, member", feature.AnAccount: "account",
	}[r.Access]
	if r.Wants != 0 {
		text = oneOf(r.Wants, func(p proof) string { return p.word })
	}
	if r.Legacy {
		text += ", `user_id`"
	}
	return text
}

// example is the signed request of docs/http.md.
var example = struct {
	seed, mesh, method, target, body string
	at                               time.Time
}{
	seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", // of RFC 8032, 7.1, test 1
	mesh: "Xk3vQ9cT", method: "POST", target: "/cli/mesh/home/grants", at: time.UnixMilli(1776254400000),
	body: `{"grants":{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c":["dm"]}}`,
}

// signatureExample shows how a request is signed, step by step.
func signatureExample() string {
	e := example
	seed, err := hex.DecodeString(e.seed)
	if err != nil {
		panic(err) // of the constant above
	}
	member := ed25519.NewKeyFromSeed(seed)
	key := identity.PublicKey(member).String()
	hash := sha256.Sum256([]byte(e.body))
	text := identity.HTTPText(e.method, e.target, e.mesh, key, strconv.FormatInt(e.at.UnixMilli(), 10), hash)
	return fmt.Sprintf("```text\nsecret  %s\nkey     %s\nbody    %s\nhash    %x\nsigned  %s\n```\n\n```http\n%s %s HTTP/1.1\nAuthorization: %s\n\n%s\n```\n",
		e.seed, key, e.body, hash, text, e.method, e.target,
		identity.SignHTTP(member, e.method, e.target, e.mesh, []byte(e.body), e.at), e.body)
}
