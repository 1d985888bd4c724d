package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Under a key of small order the standard library takes this signature, R the
// neutral element and S zero, for every text.
var (
	smallOrderKey       = "01" + strings.Repeat("00", 31)
	smallOrderSignature = smallOrderKey + strings.Repeat("00", 32)
)

// For other implementations: the seed is 32×01.
func TestHTTPVector(t *testing.T) {
	member := mustSecret(t, strings.Repeat("01", 32))
	at := time.UnixMilli(1749956800000)
	const key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
	tests := []struct {
		name, method, target, body, text, signature string
	}{
		{
			"with a body", "POST", "/mesh/mesh-1/webhooks?dry=1", `{"name":"ci"}`,
			"claudemesh-http-v1|POST|/mesh/mesh-1/webhooks?dry=1|mesh-1|" + key + "|1749956800000|eb8b0f0d421f689aaf2b268ea54e0b012830c0842b61c8cbc4820f84e5c29d8e",
			"7731ace3e43134bb4a7cc5247f4a4fb6b2b9eb69536cd3574e974b29510f3ff6f48752ca8d8d23738799752b75ed31d8439f477afa47d3341bbd7acc9608fd0b",
		},
		{
			"without a body", "GET", "/mesh/mesh-1/members", "",
			"claudemesh-http-v1|GET|/mesh/mesh-1/members|mesh-1|" + key + "|1749956800000|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"b459c0a5b3aeacce1ac3e4df6a26af2a1d5d8a3e3f6cdfac8062361c450c9070616c0fbab8039037f63a54462609c95476016a9d3e07f98caadfcc909d818a0c",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bodyHash := sha256.Sum256([]byte(tt.body))
			if got := string(HTTPText(tt.method, tt.target, "mesh-1", key, "1749956800000", bodyHash)); got != tt.text {
				t.Errorf("got text %q, want %q", got, tt.text)
			}
			header := `Mesh-Member mesh="mesh-1", key="` + key + `", ts="1749956800000", sig="` + tt.signature + `"`
			if got := SignHTTP(member, tt.method, tt.target, "mesh-1", []byte(tt.body), at); got != header {
				t.Errorf("got header %s, want %s", got, header)
			}
			in, ok := ParseHTTPProof(header)
			want := HTTPProof{Mesh: "mesh-1", Key: key, Timestamp: "1749956800000", Signature: tt.signature}
			if diff := cmp.Diff(want, in); diff != "" || !ok {
				t.Errorf("parsed %v (-want +got):\n%s", ok, diff)
			}
			if got := CheckHTTP(in, tt.method, tt.target, bodyHash, at); got != Accepted {
				t.Errorf("got %q, want accepted", got)
			}
		})
	}
}

func TestParseHTTPProof(t *testing.T) {
	key, sig := strings.Repeat("0a", 32), strings.Repeat("0b", 64)
	m, k, ts, s := `mesh="m-1_A"`, `key="`+key+`"`, `ts="1776254400000"`, `sig="`+sig+`"`
	tests := []struct {
		name, header string
		want         bool
	}{
		{"takes our own form", `Mesh-Member ` + m + `, ` + k + `, ` + ts + `, ` + s, true},
		{"takes another order", `Mesh-Member ` + s + `, ` + ts + `, ` + k + `, ` + m, true},
		{"takes no space between", `Mesh-Member ` + m + `,` + k + `,` + ts + `,` + s, true},
		{"takes space around commas", "Mesh-Member  " + m + " ,\t" + k + "\t, " + ts + " , " + s + " ", true},
		{"takes the scheme in another case", `mesh-member ` + m + `, ` + k + `, ` + ts + `, ` + s, true},
		{"takes capital hex", `Mesh-Member ` + m + `, ` + strings.Replace(k, "0a", "0A", 1) + `, ` + ts + `, ` + s, true},
		{"refuses nothing", ``, false},
		{"refuses a bearer", `Bearer x`, false},
		{"refuses the scheme alone", `Mesh-Member`, false},
		{"refuses no fields", `Mesh-Member `, false},
		{"refuses a longer scheme", `Mesh-Members ` + m + `, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses no mesh", `Mesh-Member ` + k + `, ` + ts + `, ` + s, false},
		{"refuses no key", `Mesh-Member ` + m + `, ` + ts + `, ` + s, false},
		{"refuses no time", `Mesh-Member ` + m + `, ` + k + `, ` + s, false},
		{"refuses no signature", `Mesh-Member ` + m + `, ` + k + `, ` + ts, false},
		{"refuses a field twice", `Mesh-Member ` + m + `, ` + m + `, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses an unknown field", `Mesh-Member ` + m + `, ` + k + `, ` + ts + `, ` + s + `, x="y"`, false},
		{"refuses an unknown field in front", `Mesh-Member x="y", ` + m + `, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a name in capitals", `Mesh-Member MESH="m", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a comma at the end", `Mesh-Member ` + m + `, ` + k + `, ` + ts + `, ` + s + `,`, false},
		{"refuses a comma in front", `Mesh-Member ,` + m + `, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses two commas", `Mesh-Member ` + m + `,, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses no comma", `Mesh-Member ` + m + ` ` + k + `, ` + ts + `, ` + s, false},
		{"refuses no quotes", `Mesh-Member mesh=m, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses one quote", `Mesh-Member ` + m + `, ` + k + `, ` + ts + `, sig="` + sig, false},
		{"refuses space around the sign", `Mesh-Member mesh ="m", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses an empty mesh", `Mesh-Member mesh="", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses an empty mesh and then one", `Mesh-Member mesh="", ` + m + `, ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a mesh with a pipe", `Mesh-Member mesh="a|b", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a mesh with a space", `Mesh-Member mesh="a b", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses an escaped quote", `Mesh-Member mesh="a\"b", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a mesh that is not ASCII", `Mesh-Member mesh="ä", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses an endless mesh", `Mesh-Member mesh="` + strings.Repeat("m", 129) + `", ` + k + `, ` + ts + `, ` + s, false},
		{"refuses a short key", `Mesh-Member ` + m + `, key="0a", ` + ts + `, ` + s, false},
		{"refuses a key that is not hex", `Mesh-Member ` + m + `, key="` + strings.Repeat("0g", 32) + `", ` + ts + `, ` + s, false},
		{"refuses a signed time", `Mesh-Member ` + m + `, ` + k + `, ts="+1776254400000", ` + s, false},
		{"refuses a time below zero", `Mesh-Member ` + m + `, ` + k + `, ts="-1", ` + s, false},
		{"refuses a time with a zero in front", `Mesh-Member ` + m + `, ` + k + `, ts="01776254400000", ` + s, false},
		{"refuses a fraction", `Mesh-Member ` + m + `, ` + k + `, ts="1776254400000.0", ` + s, false},
		{"refuses an exponent", `Mesh-Member ` + m + `, ` + k + `, ts="1e12", ` + s, false},
		{"refuses an endless time", `Mesh-Member ` + m + `, ` + k + `, ts="1776254400000000", ` + s, false},
		{"refuses a short signature", `Mesh-Member ` + m + `, ` + k + `, ` + ts + `, sig="0b"`, false},
		{"refuses an endless header", `Mesh-Member ` + strings.Repeat(" ", MaxHTTPProof) + m + `, ` + k + `, ` + ts + `, ` + s, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, got := ParseHTTPProof(tt.header)
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !got && in != (HTTPProof{}) {
				t.Errorf("got %+v of a header that was refused, want nothing", in)
			}
		})
	}
}

func TestCheckHTTP(t *testing.T) {
	_, member := NewKeypair()
	stranger, _ := NewKeypair()
	now := time.UnixMilli(1776254400000)
	type request struct {
		HTTPProof
		method, target, body string
	}
	tests := []struct {
		name   string
		at     time.Time
		change func(*request)
		want   Refusal
	}{
		{"accepts a fresh one", now, nil, Accepted},
		{"accepts the far edge of the past", now.Add(-MaxSkew), nil, Accepted},
		{"accepts the far edge of the future", now.Add(MaxSkew), nil, Accepted},
		{"refuses one past the edge", now.Add(MaxSkew + time.Millisecond), nil, TimestampSkew},
		{"refuses one before the edge", now.Add(-MaxSkew - time.Millisecond), nil, TimestampSkew},
		{"refuses no time", now, func(r *request) { r.Timestamp = "" }, TimestampSkew},
		{"refuses a time in another form", now, func(r *request) { r.Timestamp += ".0" }, TimestampSkew},
		{"looks at the clock before the shapes", now.Add(-time.Hour), func(r *request) { r.Key = "x" }, TimestampSkew},
		{"refuses a key that is none", now, func(r *request) { r.Key = "x" }, Malformed},
		{"refuses a signature that is none", now, func(r *request) { r.Signature = "x" }, Malformed},
		{"refuses no mesh", now, func(r *request) { r.Mesh = "" }, Malformed},
		{"refuses a mesh with a pipe", now, func(r *request) { r.Mesh = "a|b" }, Malformed},
		{"refuses no method", now, func(r *request) { r.method = "" }, Malformed},
		{"refuses a method with a pipe", now, func(r *request) { r.method = "PATCH|x" }, Malformed},
		{"refuses an endless method", now, func(r *request) { r.method = strings.Repeat("A", 33) }, Malformed},
		{"refuses no target", now, func(r *request) { r.target = "" }, Malformed},
		{"refuses another method", now, func(r *request) { r.method = "DELETE" }, BadSignature},
		{"refuses the method in another case", now, func(r *request) { r.method = "patch" }, BadSignature},
		{"refuses another path", now, func(r *request) { r.target = "/mesh/n?a=1" }, BadSignature},
		{"refuses another query", now, func(r *request) { r.target = "/mesh/m?a=2" }, BadSignature},
		{"refuses the path alone", now, func(r *request) { r.target = "/mesh/m" }, BadSignature},
		{"refuses another mesh", now, func(r *request) { r.Mesh = "n" }, BadSignature},
		{"refuses another key", now, func(r *request) { r.Key = stranger.String() }, BadSignature},
		{"refuses the key in capitals", now, func(r *request) { r.Key = strings.ToUpper(r.Key) }, BadSignature},
		{"refuses another time", now, func(r *request) { r.Timestamp = "1776254400001" }, BadSignature},
		{"refuses another body", now, func(r *request) { r.body = "{ }" }, BadSignature},
		{"refuses no body", now, func(r *request) { r.body = "" }, BadSignature},
		{"refuses another signature", now, func(r *request) { r.Signature = strings.Repeat("0", 128) }, BadSignature},
		{"refuses a key of small order", now, func(r *request) {
			r.Key, r.Signature = smallOrderKey, smallOrderSignature
		}, BadSignature},
		{"takes the signature in capitals", now, func(r *request) { r.Signature = strings.ToUpper(r.Signature) }, Accepted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request{method: "PATCH", target: "/mesh/m?a=1", body: "{}"}
			var ok bool
			r.HTTPProof, ok = ParseHTTPProof(SignHTTP(member, r.method, r.target, "m", []byte(r.body), tt.at))
			if !ok {
				t.Fatal("the signed header cannot be read")
			}
			if tt.change != nil {
				tt.change(&r)
			}
			if got := CheckHTTP(r.HTTPProof, r.method, r.target, sha256.Sum256([]byte(r.body)), now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The library takes what we refuse, so the test above tests something.
func TestSmallOrderSignatureIsOne(t *testing.T) {
	if !ed25519.Verify(mustHex(t, smallOrderKey), []byte("any text"), mustHex(t, smallOrderSignature)) {
		t.Error("the standard library refuses the signature")
	}
}

// A pipe in the target moves no other field: a request whose target ends in a
// whole mesh id, and whose mesh is another, has another text.
func TestHTTPTargetWithPipe(t *testing.T) {
	_, member := NewKeypair()
	now := time.UnixMilli(1776254400000)
	target := "/a?b=1|m|c"
	in, ok := ParseHTTPProof(SignHTTP(member, "GET", target, "n", nil, now))
	if got := CheckHTTP(in, "GET", target, sha256.Sum256(nil), now); !ok || got != Accepted {
		t.Fatalf("got %v, %q, want accepted", ok, got)
	}
	for _, mesh := range []string{"m", "c", "c|n", "m|c|n"} {
		in.Mesh = mesh
		for _, target := range []string{target, "/a?b=1", "/a?b=1|m"} {
			if got := CheckHTTP(in, "GET", target, sha256.Sum256(nil), now); got.OK() {
				t.Errorf("mesh %q, target %q: got accepted, want a refusal", mesh, target)
			}
		}
	}
}

func TestHTTPProofOnce(t *testing.T) {
	_, member := NewKeypair()
	now := time.UnixMilli(1776254400000)
	in, _ := ParseHTTPProof(SignHTTP(member, "GET", "/a", "m", nil, now))
	respelled := in
	respelled.Signature = strings.ToUpper(in.Signature)
	if in.Once() != respelled.Once() {
		t.Error("one signature in two spellings can be used twice")
	}
	other, _ := ParseHTTPProof(SignHTTP(member, "GET", "/a", "m", nil, now.Add(time.Millisecond)))
	if in.Once() == other.Once() {
		t.Error("two requests can be used once")
	}
}

func TestCheckHTTPAllocations(t *testing.T) {
	_, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	in, _ := ParseHTTPProof(SignHTTP(secret, "GET", "/mesh/m/members", NewID(), nil, now))
	bodyHash := sha256.Sum256(nil)
	got := testing.AllocsPerRun(20, func() {
		if !CheckHTTP(in, "GET", "/mesh/m/members", bodyHash, now).OK() {
			t.Error("got a refusal, want accepted")
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func FuzzHTTPProof(f *testing.F) {
	_, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	good := SignHTTP(secret, "GET", "/a", "m", nil, now)
	for _, s := range []string{
		good, strings.ToLower(good), strings.ReplaceAll(good, ", ", ","), good + ",", "Mesh-Member ",
		`Mesh-Member mesh="a\"b"`, `Mesh-Member mesh="a", mesh="b"`, "Bearer x", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		in, ok := ParseHTTPProof(header)
		if !ok {
			if in != (HTTPProof{}) {
				t.Fatalf("%q: refused, and yet %+v", header, in)
			}
			return
		}
		for _, field := range []string{in.Mesh, in.Key, in.Timestamp, in.Signature} {
			if field == "" || strings.ContainsAny(field, "|\"\\ \t\r\n") {
				t.Fatalf("%q: got field %q", header, field)
			}
		}
		if again, ok := ParseHTTPProof(in.header()); !ok || again != in {
			t.Fatalf("%q: got %+v, then %+v, %v", header, in, again, ok)
		}
		at, ok := in.time()
		if printed := string(at.appendTo(nil)); !ok || printed != in.Timestamp {
			t.Fatalf("%q: got time %q, printed as %q", header, in.Timestamp, printed)
		}
		CheckHTTP(in, "GET", "/a", sha256.Sum256(nil), now)
	})
}

func BenchmarkCheckHTTP(b *testing.B) {
	_, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	header := SignHTTP(secret, "GET", "/mesh/m/members", NewID(), nil, now)
	bodyHash := sha256.Sum256(nil)
	b.ReportAllocs()
	for b.Loop() {
		in, ok := ParseHTTPProof(header)
		if !ok || !CheckHTTP(in, "GET", "/mesh/m/members", bodyHash, now).OK() {
			b.Fatal("refused")
		}
	}
}
