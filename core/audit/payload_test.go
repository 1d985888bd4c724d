package audit

import (
	"math"
	"testing"
)

func TestObject(t *testing.T) {
	tests := []struct {
		name   string
		fields []Field
		want   string
	}{
		{"makes an empty object", nil, `{}`},
		{"sorts its fields", []Field{String("targetSpec", "@core"), String("priority", "now")}, `{"priority":"now","targetSpec":"@core"}`},
		{"writes every kind", []Field{
			String("s", "a\"b\n"), Int("i", -7), Bool("t", true), Bool("f", false),
			Strings("l", []string{"x", "y"}), Strings("n", nil), Raw("r", []byte(`[{"a":1}]`)), Raw("z", nil),
		}, `{"f":false,"i":-7,"l":["x","y"],"n":[],"r":[{"a":1}],"s":"a\"b\n","t":true,"z":null}`},
		{"rounds large integers", []Field{Int("a", math.MaxInt64), Int("b", 1<<53+1), Int("c", math.MinInt64)}, `{"a":9223372036854776000,"b":9007199254740992,"c":-9223372036854776000}`},
		{"lets the last of one name count", []Field{Int("a", 1), Int("b", 2), Int("a", 3), Int("a", 4)}, `{"a":4,"b":2}`},
		{"lets the last name's last value count", []Field{Int("a", 1), Int("a", 2)}, `{"a":2}`},
		{"marks bytes that are not UTF-8", []Field{String("a", "x\xffy\xed\xa0\xbd")}, "{\"a\":\"x\ufffdy\ufffd\ufffd\ufffd\"}"},
		{"sorts unusual names by UTF-16", []Field{Int("～", 1), Int("😀", 2)}, `{"😀":2,"～":1}`},
		{"survives names that are not UTF-8", []Field{Int("\xff", 1), Int("\xfe", 2)}, "{\"\ufffd\":2,\"\ufffd\":1}"},
		{"escapes names", []Field{Int("a\"b", 1)}, `{"a\"b":1}`},
		{"names nothing in a zero field", []Field{{}}, `{"":null}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Object(tt.fields...)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := string(AppendObject([]byte("x"), tt.fields...)); got != "x"+tt.want {
				t.Errorf("appended: got %s, want x%s", got, tt.want)
			}
		})
	}
}

func FuzzObject(f *testing.F) {
	f.Add("a", "b", "x", int64(1))
	f.Add("～", "😀", "\x00\"\\", int64(-1<<63))
	f.Fuzz(func(t *testing.T, one, two, value string, n int64) {
		text := Object(String(one, value), Int(two, n), Strings("l", []string{one, value}))
		again, err := Canonicalize(text)
		if err != nil {
			if string(appendText(nil, one)) == one && string(appendText(nil, two)) == two {
				t.Fatalf("%s: %v", text, err)
			}
			return // two broken names became one
		}
		if string(again) != string(text) {
			t.Fatalf("got %s, want %s", text, again)
		}
	})
}

func TestObjectAllocations(t *testing.T) {
	groups := []string{"core", "ops"}
	got := testing.AllocsPerRun(1000, func() {
		Object(String("targetSpec", "@core"), String("priority", "now"), Int("n", 12), Bool("ok", true), Strings("groups", groups))
	})
	if got > 1 {
		t.Errorf("got %v allocations, want at most 1", got)
	}
}

func BenchmarkObject(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Object(String("targetSpec", "@core"), String("priority", "now"))
	}
}

func BenchmarkAppendObject(b *testing.B) {
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendObject(buf[:0], String("targetSpec", "@core"), String("priority", "now"))
	}
}
