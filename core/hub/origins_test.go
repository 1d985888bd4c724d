package hub

import "testing"

func TestOrigins(t *testing.T) {
	tests := []struct {
		name, first, second string
		same                bool
	}{
		{"it tells IPv4 addresses apart", "192.0.2.1", "192.0.2.2", false},
		{"it counts an IPv6 address by its /64", "2001:db8::1", "2001:db8::ffff:0:1:2", true},
		{"it tells /64s apart", "2001:db8::1", "2001:db8:0:1::1", false},
		{"it takes no notice of a zone", "fe80::1%eth0", "fe80::1%eth1", true},
		{"it counts what is no address as it is", "@", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o origins
			if !o.enter(tt.first, 1) {
				t.Fatal("the first was refused")
			}
			if got := !o.enter(tt.second, 1); got != tt.same {
				t.Errorf("refused is %v, want %v", got, tt.same)
			}
			o.leave(tt.first)
			if !o.enter(tt.first, 1) {
				t.Error("who had left still counts")
			}
		})
	}
}
