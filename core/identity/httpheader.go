package identity

import "strings"

// ParseHTTPProof reads the value of an Authorization header. It wants each of
// the four fields once, quoted, nothing else, at most [MaxHTTPProof] bytes and
// every field well formed; the scheme may be in any case, as HTTP has it. The
// proof is not yet tested: see [CheckHTTP].
func ParseHTTPProof(header string) (HTTPProof, bool) {
	if len(header) > MaxHTTPProof {
		return HTTPProof{}, false
	}
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, HTTPScheme) {
		return HTTPProof{}, false
	}
	var in HTTPProof
	for more := true; more; {
		var name, value string
		if name, value, rest, more, ok = cutField(rest); !ok || !in.set(name, value) {
			return HTTPProof{}, false
		}
	}
	if _, ok := in.time(); !ok || !in.shapes() {
		return HTTPProof{}, false
	}
	return in, true
}

// cutField splits `name="value"` and the comma behind it off s. More says that
// there was a comma.
func cutField(s string) (name, value, rest string, more, ok bool) {
	name, s, ok = strings.Cut(strings.TrimLeft(s, " \t"), `="`)
	if !ok {
		return "", "", "", false, false
	}
	if value, s, ok = strings.Cut(s, `"`); !ok {
		return "", "", "", false, false
	}
	s = strings.TrimLeft(s, " \t")
	rest, more = strings.CutPrefix(s, ",")
	return name, value, rest, more, more || s == ""
}

// set takes one field of the header, each only once.
func (in *HTTPProof) set(name, value string) bool {
	var field *string
	switch name {
	case "mesh":
		field = &in.Mesh
	case "key":
		field = &in.Key
	case "ts":
		field = &in.Timestamp
	case "sig":
		field = &in.Signature
	default:
		return false
	}
	if *field != "" || value == "" {
		return false
	}
	*field = value
	return true
}

// header returns the proof as the value of an Authorization header.
func (in HTTPProof) header() string {
	return HTTPScheme + ` mesh="` + in.Mesh + `", key="` + in.Key + `", ts="` + in.Timestamp + `", sig="` + in.Signature + `"`
}
