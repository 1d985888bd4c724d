package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Full returns a file that says every default, with the meaning of each key
// above it: configs/full.yaml.
func Full() []byte {
	p := printer{
		keep:   func(string) bool { return true },
		behind: func(string) string { return "" },
		above: func(f field) []string {
			lines := wrap(upper(f.doc)+limits(f)+".", 100)
			if f.typ == reflect.TypeFor[[]Link]() {
				lines = append(lines, linkHelp()...)
			}
			return lines
		},
	}
	p.WriteString("# Every key with its default. A file needs only what it changes: see minimal.yaml.\n")
	p.WriteString("# Made by go test ./core/config -run Reference -update\n\n")
	p.section(reflect.ValueOf(Default()), "", 0)
	return p.Bytes()
}

// linkHelp explains the keys of a link, for a comment.
func linkHelp() []string {
	lines := append([]string{"", "Keys of a link:"}, help(reflect.TypeFor[Link]())...)
	return append(append(lines, "", "Keys of plugin:"), help(reflect.TypeFor[Plugin]())...)
}

// help explains the keys of a struct, those of its sections too.
func help(t reflect.Type) (lines []string) {
	width := 0
	for key := range leaves(t) {
		width = max(width, len(key))
	}
	for key, f := range leaves(t) {
		for _, line := range wrap(upper(f.doc)+limits(f)+".", 93-width) {
			lines = append(lines, fmt.Sprintf("  %-*s %s", width, key, line))
			key = ""
		}
	}
	return lines
}

// Reference returns the manual of all this in Markdown: configs/reference.md.
// Stages that have Options get a table of them.
func Reference(builtins []Builtin) []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration

Made by ` + "`go test ./cmd/broker -run Docs -update`" + ` from the code; changes by hand are lost.

Each layer wins over the one before it: defaults, the file (` + "`--config`" + `), environment variables, flags of the
command line. Sections are merged key by key; a list replaces the earlier list as a whole.

- **Unknown keys, wrong types and values out of their limits stop the start.** All of them are reported at once, with
  line and column. ` + "`broker config check`" + ` does the same without starting.
- **Durations** carry a unit: ` + "`250ms`, `30s`, `5m`, `168h`" + `. **Sizes** are whole numbers of bytes.
  **Rates** are ` + "`5/s`, `60/min`, `1000/h`" + `.
- A file is at most 1 MiB of UTF-8. Anchors, aliases and tags are not read; a key may stand once only.
- **Secrets** are never printed; ` + "`broker config print`" + ` shows ` + "`***`" + `.

`)
	t := reflect.TypeFor[Config]()
	defaults := reflect.ValueOf(Default())
	b.WriteString("## Top level\n\n")
	b.WriteString(tableHead)
	keyRows(&b, t, defaults, "", false)
	for _, f := range fieldsOf(t) {
		if isSection(f.typ) {
			fmt.Fprintf(&b, "\n## `%s`\n\n%s.\n\n", f.name, upper(f.doc))
			b.WriteString(tableHead)
			keyRows(&b, f.typ, defaults.Field(f.index), f.name, true)
		} else if f.typ == reflect.TypeFor[[]Link]() {
			fmt.Fprintf(&b, "\n## `%s`\n\n%s.\n\n```yaml\n", f.name, upper(f.doc))
			p := printer{behind: func(string) string { return "" }}
			p.links(Default().Pipeline, f.name, f.name, 0)
			b.Write(p.Bytes())
			b.WriteString("```\n\nKeys of a link:\n\n")
			b.WriteString(tableHead)
			keyRows(&b, reflect.TypeFor[Link](), reflect.ValueOf(newLink("")), "", false)
			b.WriteString("\nKeys of `plugin`:\n\n")
			b.WriteString(tableHead)
			keyRows(&b, reflect.TypeFor[Plugin](), reflect.ValueOf(newPlugin()), "", true)
			optionTables(&b, builtins)
		}
	}
	variableTables(&b)
	return b.Bytes()
}

// optionTables documents what each stage takes in "with".
func optionTables(b *bytes.Buffer, builtins []Builtin) {
	for _, stage := range builtins {
		if stage.Options == nil {
			continue
		}
		v := reflect.ValueOf(stage.Options()).Elem()
		fmt.Fprintf(b, "\n### `with` of `%s`\n\n", stage.Name)
		if len(fieldsOf(v.Type())) == 0 {
			b.WriteString("No options.\n")
			continue
		}
		b.WriteString(tableHead)
		keyRows(b, v.Type(), v, "", true)
	}
}

const tableHead = "| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n"

// keyRows writes the rows of a table; deep, those of the sections too.
func keyRows(b *bytes.Buffer, t reflect.Type, defaults reflect.Value, key string, deep bool) {
	for _, f := range fieldsOf(t) {
		if isSection(f.typ) && deep {
			keyRows(b, f.typ, defaults.Field(f.index), join(key, f.name), deep)
			continue
		}
		if isSection(f.typ) || f.typ == reflect.TypeFor[[]Link]() {
			continue
		}
		value := text(defaults.Field(f.index))
		switch value {
		case `""`, "null", "{}", "[]":
			value = ""
		default:
			value = code(value)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n",
			code(join(key, f.name)), typeName(f), value, cell(upper(f.doc)+limits(f)+"."))
	}
}

// limits says what values a field takes, as the end of its meaning.
func limits(f field) string {
	switch {
	case len(f.one) > 0:
		return ". Allowed: " + either(f.one)
	case f.limit != "":
		return ". Allowed: " + between(f.limit)
	}
	return ""
}

func variableTables(b *bytes.Buffer) {
	fmt.Fprintf(b, `
## Environment

Every key but `+"`pipeline`"+` has a variable: %s, the key in upper case, %s between section and key. So
`+"`limits.frame_bytes` is `%s`"+`. A list is written with commas. An unknown variable
that begins so is an error. An empty variable counts as one that is not set.

The names of the original broker work too; a variable made of a key wins over them.

| Variable | Sets | Text |
| --- | --- | --- |
`, code(Prefix), code("__"), VariableName("limits.frame_bytes"))
	rows := func(effect Effect, original bool, row func(Variable)) {
		for _, v := range Environment() {
			if v.Effect == effect && v.Original == original {
				row(v)
			}
		}
	}
	rows(Sets, true, func(v Variable) {
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(v.Name), code(v.Key), cell(v.Meaning))
	})
	b.WriteString("\nRead for other purposes:\n\n| Variable | Text |\n| --- | --- |\n")
	var client []string
	rows(Foreign, false, func(v Variable) {
		if v.Meaning == "client" {
			client = append(client, code(v.Name))
			return
		}
		fmt.Fprintf(b, "| %s | %s |\n", code(v.Name), cell(v.Meaning))
	})
	standardTable(b)
	b.WriteString("\nAccepted with a warning, because what they configure is not built yet:\n\n| Variable | For |\n| --- | --- |\n")
	rows(Later, true, func(v Variable) {
		fmt.Fprintf(b, "| %s | %s |\n", code(v.Name), cell(v.Meaning))
	})
	b.WriteString("\nOf other programs, and left alone: ")
	rows(Foreign, true, func(v Variable) { client = append(client, code(v.Name)) })
	b.WriteString(strings.Join(client, ", "))
	b.WriteString(".\n")
}

func code(s string) string { return "`" + s + "`" }

// codes is code for each of a list with commas, which may be empty.
func codes(list string) string {
	if list == "" {
		return ""
	}
	return code(strings.ReplaceAll(list, ", ", "`, `"))
}

// cell makes text fit into a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// wrap breaks text into lines of at most width bytes where it can.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
