package feature

// plugins lists the types that only plugins answer.
func (d *docs) plugins() {
	d.printf("\n## Plugins\n\nThe broker has no handler for these, which clients know: a [plugin](plugins.md#kinds) that owns one answers it, and its\n" +
		"README says what the fields are. Where none does, the request is refused as `not_available`, with what to install. A\n" +
		"plugin may own types that are not listed here, too; a refusal of those has the shape that the plugin gives it.\n\n" +
		"| type | plugin | needs the permission | refused by |\n| --- | --- | --- | --- |\n")
	for _, a := range absents() {
		from, needs := "none comes with the broker", "none"
		if a.from != "" {
			from = "[" + a.from + "](../plugins/" + a.from + "/README.md)"
		}
		if a.needs != "" {
			needs = "`" + string(a.needs) + "`"
		}
		d.printf("| `%s` | %s | %s | %s |\n", a.typ, from, needs, a.shape())
	}
}

// shape is how the type is refused, in words.
func (a absent) shape() string {
	switch {
	case a.word != "":
		return "an [`error`](#error) with the code `" + a.word + "`"
	case a.reply == "ack":
		return link("ack") + " with an `error`"
	default:
		return "`" + a.reply + "` with an `error`, and `" + a.fields + "`"
	}
}
