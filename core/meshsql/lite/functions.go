package lite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

// functions are those that a statement may call. Missing are those that reach
// outside the file (load_extension), that tell of the process (sqlite_…), that
// belong to modules which are not allowed, and those whose time or memory nothing
// bounds: json_patch takes the square of its text, and json_pretty, json_group_…
// grow without looking at the limit of a value's length.
func functions() []string {
	return strings.Fields(`-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling changes char coalesce
		concat concat_ws cos cosh count cume_dist current_date current_time current_timestamp date datetime degrees
		dense_rank exp first_value floor format glob group_concat hex if ifnull iif instr json json_array
		json_array_length json_error_position json_extract json_insert json_object json_quote json_remove json_replace
		json_set json_type json_valid jsonb jsonb_array jsonb_extract jsonb_insert jsonb_object jsonb_remove
		jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length like likelihood likely ln log
		log10 log2 lower ltrim max min mod nth_value ntile nullif octet_length percent_rank pi pow power printf quote
		radians random randomblob rank replace round row_number rtrim sign sin sinh soundex sqlite_version sqrt
		strftime string_agg substr substring sum tan tanh time timediff total total_changes trim trunc typeof unhex
		unicode unixepoch unlikely upper zeroblob`)
}

// newDriver returns a driver of our own: what is registered with it reaches the
// connections of this package alone, and not those of the broker's store.
//
// It has its own instr, replace and trim. SQLite's take the product of the lengths
// of their arguments, and nothing interrupts a function: one row of calls would
// hold a processor for hours.
func newDriver() (*sqlite.Driver, error) {
	d := &sqlite.Driver{}
	own := map[string]func([]driver.Value) (driver.Value, error){
		"instr/2": instr, "replace/3": replace,
		"trim/2": trimmed(strings.TrimFunc), "ltrim/2": trimmed(strings.TrimLeftFunc), "rtrim/2": trimmed(strings.TrimRightFunc),
	}
	for name, f := range own {
		name, _, _ := strings.Cut(name, "/")
		args := map[string]int32{"replace": 3}[name]
		err := d.RegisterDeterministicScalarFunction(name, max(args, 2), func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			for _, a := range args {
				if a == nil {
					return nil, nil //nolint:nilnil // NULL comes of NULL
				}
			}
			return f(args)
		})
		if err != nil {
			return nil, fmt.Errorf("replace the function %s: %w", name, err)
		}
	}
	return d, nil
}

// instr returns where the second text begins in the first, from 1; 0 for nowhere.
// Of two blobs it counts bytes.
func instr(args []driver.Value) (driver.Value, error) {
	in, blob := args[0].([]byte)
	of, both := args[1].([]byte)
	if blob && both {
		return int64(strings.Index(string(in), string(of)) + 1), nil
	}
	text := asText(args[0])
	at := strings.Index(text, asText(args[1]))
	if at < 0 {
		return int64(0), nil
	}
	return int64(len([]rune(text[:at])) + 1), nil
}

// replace returns the first text with the third for each second.
func replace(args []driver.Value) (driver.Value, error) {
	text, old, with := asText(args[0]), asText(args[1]), asText(args[2])
	if old == "" {
		return text, nil
	}
	if n := strings.Count(text, old); len(text)+n*(len(with)-len(old)) > mostValue {
		return nil, fmt.Errorf("string or blob too big: the most are %d bytes", mostValue)
	}
	return strings.ReplaceAll(text, old, with), nil
}

// trimmed returns a function that takes the letters of the second text from the
// ends of the first.
func trimmed(trim func(string, func(rune) bool) string) func([]driver.Value) (driver.Value, error) {
	return func(args []driver.Value) (driver.Value, error) {
		set := map[rune]bool{}
		for _, r := range asText(args[1]) {
			set[r] = true
		}
		return trim(asText(args[0]), func(r rune) bool { return set[r] }), nil
	}
}

// asText is a value as SQLite shows it as text.
func asText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case float64:
		return floatText(v)
	default:
		return fmt.Sprint(v)
	}
}

// floatText is a number as SQLite shows it, but for a last digit that nobody needs:
// as few digits as tell it from others, and always a point.
func floatText(v float64) string {
	switch size := math.Abs(v); {
	case size == 0:
		return "0.0"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(fmt.Sprint(v), "+")
	case size < 1e-4 || size >= 1e17:
		digits, power, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
		return pointed(digits) + "e" + power
	}
	return pointed(strconv.FormatFloat(v, 'f', -1, 64))
}

func pointed(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}
