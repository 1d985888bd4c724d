package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// optionRow is one option, for people.
type optionRow struct{ name, text string }

// optionRows reads the options out of a JSON Schema, in its order. It says what
// people ask first; the schema says the rest.
func optionRows(schema []byte) (rows []optionRow) {
	var root yaml.MapSlice // JSON is YAML, and this keeps the order
	if err := yaml.UnmarshalWithOptions(schema, &root, yaml.UseOrderedMap()); err != nil {
		return []optionRow{{"?", "the schema cannot be read: " + printable(err.Error())}}
	}
	properties, _ := root.ToMap()["properties"].(yaml.MapSlice)
	required, _ := root.ToMap()["required"].([]any)
	for _, p := range properties {
		name := fmt.Sprint(p.Key)
		about, _ := p.Value.(yaml.MapSlice)
		text := optionText(about.ToMap())
		for _, r := range required {
			if fmt.Sprint(r) == name {
				text = "needed; " + text
			}
		}
		rows = append(rows, optionRow{printable(name), printable(text)})
	}
	return rows
}

func optionText(about map[any]any) string {
	parts := []string{typeText(about)}
	for _, word := range []string{"minimum", "maximum", "default"} {
		if v, ok := about[word]; ok {
			text, err := json.Marshal(plain(v))
			if err != nil {
				continue
			}
			parts = append(parts, word+" "+string(text))
		}
	}
	text := strings.Join(parts, ", ")
	if d, ok := about["description"].(string); ok && d != "" {
		text += ": " + d
	}
	return text
}

// plain makes of an ordered map one that JSON knows.
func plain(v any) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		m := map[string]any{}
		for _, item := range v {
			m[fmt.Sprint(item.Key)] = plain(item.Value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return v
}

// typeText says what an option is written as.
func typeText(about map[any]any) string {
	if enum, ok := about["enum"].([]any); ok {
		var words []string
		for _, v := range enum {
			words = append(words, fmt.Sprint(v))
		}
		return "one of " + strings.Join(words, ", ")
	}
	switch about["type"] {
	case "string":
		return "text"
	case "integer":
		return "whole number"
	case "boolean":
		return "true or false"
	case "array":
		if items, ok := about["items"].(yaml.MapSlice); ok {
			return "list of " + typeText(items.ToMap())
		}
		return "list"
	case nil, "object":
		return "section"
	}
	return fmt.Sprint(about["type"])
}
