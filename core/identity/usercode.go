package identity

// UserCode returns what somebody typed as [NewUserCode] spells it, XXXX-XXXX:
// lower case, spaces and missing dashes are mended. A text that cannot be one,
// such as the id of a sign-in, is returned as it is.
func UserCode(typed string) string {
	code := NormalizeCode(typed)
	if len(code) != userCodeSize {
		return typed
	}
	return grouped([]byte(code))
}
