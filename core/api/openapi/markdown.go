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
	for name, part := range map[string]string{
		"routes": routeTables(routes), "signature": signatureExample(), "link": linkExample(), "claim": claimExample(),
	} {
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
	if r.Key != "" {
		text = "API key (`" + string(r.Key) + "`), " + text
	}
	if r.Wants != 0 {
		text = oneOf(r.Wants, func(p proof) string { return p.word })
	}
	if r.Legacy {
		text += ", `user_id`"
	}
	return text
}

// example is the signed request of docs/http.md. Who signs it signs the other
// examples too, at the same time and in the same mesh.
var example = struct {
	seed, mesh, method, target, body string
	at                               time.Time
}{
	seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", // of RFC 8032, 7.1, test 1
	mesh: "Xk3vQ9cT", method: "POST", target: "/cli/mesh/home/grants", at: time.UnixMilli(1776254400000),
	body: `{"grants":{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c":["dm"]}}`,
}

// signer has the key that signs the examples.
func signer() ed25519.PrivateKey {
	seed, err := hex.DecodeString(example.seed)
	if err != nil {
		panic(err) // of the constant above
	}
	return ed25519.NewKeyFromSeed(seed)
}

// linkExample shows how a member agrees to be an account's.
func linkExample() string {
	const account = "ada"
	p := identity.SignLink(signer(), example.mesh, account, example.at)
	return fmt.Sprintf("```text\nsigned  %s\n```\n\n```http\nPOST /cli/mesh/home/link HTTP/1.1\nAuthorization: Bearer <token of %s>\n\n"+
		`{"pubkey":%q,"timestamp":%s,"signature":%q}`+"\n```\n",
		identity.LinkText(p.MeshID, p.Pubkey, account, string(p.TimestampToken)), account, p.Pubkey, p.TimestampToken, p.Signature)
}

// claimExample shows how a key claims an invite by its code.
func claimExample() string {
	// The public key of Alice in RFC 7748, 6.1.
	recipient, err := hex.DecodeString("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
	if err != nil {
		panic(err)
	}
	p := identity.SignClaim(signer(), "k7wq-m2xd-9rht", identity.SealKey(recipient), example.at)
	return fmt.Sprintf("```text\nsigned  %s\n```\n\n```http\nPOST /invites/%s/claim HTTP/1.1\n\n"+
		`{"recipient_x25519_pubkey":%q,"peer_pubkey":%q,"timestamp":%s,"signature":%q}`+"\n```\n",
		identity.ClaimText(p.Code, p.PeerPubkey, p.RecipientKey, string(p.TimestampToken)), p.Code,
		p.RecipientKey, p.PeerPubkey, p.TimestampToken, p.Signature)
}

// signatureExample shows how a request is signed, step by step.
func signatureExample() string {
	e, member := example, signer()
	key := identity.PublicKey(member).String()
	hash := sha256.Sum256([]byte(e.body))
	text := identity.HTTPText(e.method, e.target, e.mesh, key, strconv.FormatInt(e.at.UnixMilli(), 10), hash)
	return fmt.Sprintf("```text\nsecret  %s\nkey     %s\nbody    %s\nhash    %x\nsigned  %s\n```\n\n```http\n%s %s HTTP/1.1\nAuthorization: %s\n\n%s\n```\n",
		e.seed, key, e.body, hash, text, e.method, e.target,
		identity.SignHTTP(member, e.method, e.target, e.mesh, []byte(e.body), e.at), e.body)
}
