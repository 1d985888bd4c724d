package watch

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"
)

func TestAllowed(t *testing.T) {
	c := NewClient([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")})
	for _, tt := range []struct {
		address, port string
		want          error
	}{
		{"93.184.216.34", "443", nil},
		{"8.8.8.8", "80", nil},
		{"2606:2800:220:1::1", "443", nil},
		{"93.184.216.34", "22", ErrPort},
		{"93.184.216.34", "6379", ErrPort},
		{"10.1.2.3", "6379", nil},
		{"::ffff:10.1.2.3", "80", nil},
		{"fd00:1::7", "9", nil},
		{"10.2.0.1", "80", ErrAddress},
		{"127.0.0.1", "80", ErrAddress},
		{"127.8.8.8", "80", ErrAddress},
		{"0.0.0.0", "80", ErrAddress},
		{"169.254.169.254", "80", ErrAddress}, // cloud metadata
		{"100.64.0.1", "80", ErrAddress},      // carrier NAT
		{"100.100.100.200", "80", ErrAddress}, // cloud metadata
		{"172.31.255.255", "80", ErrAddress},
		{"192.168.1.1", "80", ErrAddress},
		{"198.18.0.1", "80", ErrAddress},
		{"192.0.0.192", "80", ErrAddress}, // cloud metadata
		{"224.0.0.1", "80", ErrAddress},
		{"255.255.255.255", "80", ErrAddress},
		{"::", "80", ErrAddress},
		{"::1", "80", ErrAddress},
		{"::ffff:127.0.0.1", "80", ErrAddress},
		{"::ffff:169.254.169.254", "80", ErrAddress},
		{"::7f00:1", "80", ErrAddress},
		{"64:ff9b::a9fe:a9fe", "80", ErrAddress}, // NAT64 of metadata
		{"64:ff9b:1::1", "80", ErrAddress},
		{"2002:7f00:1::", "80", ErrAddress},   // 6to4 of loopback
		{"2001:0:7f00:1::", "80", ErrAddress}, // Teredo
		{"2001:db8::1", "80", ErrAddress},
		{"fe80::1", "80", ErrAddress},
		{"fe80::1%eth0", "80", ErrAddress},
		{"fd00:ec2::254", "80", ErrAddress}, // cloud metadata
		{"fd00:1::7%eth0", "80", ErrAddress},
		{"ff02::1", "80", ErrAddress},
		{"2606:2800:220:1::1%eth0", "80", ErrAddress},
	} {
		if got := c.allowed(netip.MustParseAddr(tt.address), tt.port); !errors.Is(got, tt.want) || (got == nil) != (tt.want == nil) {
			t.Errorf("%s port %s: got %v, want %v", tt.address, tt.port, got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	c := NewClient(nil)
	for address, want := range map[string]error{
		"https://example.org/a?b":            nil,
		"http://example.org:8080":            nil, // where it leads is looked at later
		"https://[2606:2800:220:1::1]/":      nil,
		"ftp://example.org":                  ErrScheme,
		"file:///etc/passwd":                 ErrScheme,
		"gopher://127.0.0.1:6379/_x":         ErrScheme,
		"//example.org":                      ErrScheme,
		"https:///x":                         ErrHost,
		"https://":                           ErrHost,
		"https://ada:secret@example.org":     ErrUser,
		"http://127.0.0.1":                   ErrAddress,
		"http://[::1]":                       ErrAddress,
		"http://[::ffff:10.0.0.1]:80/":       ErrAddress,
		"http://169.254.169.254/latest/meta": ErrAddress,
		"http://8.8.8.8:25":                  ErrPort,
		"http://example.org:0":               ErrPort,
		"http://example.org:99999":           ErrPort,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Check(u); !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}

// Whatever an address is written as, one that is allowed is no address of the
// machine or of its networks.
func FuzzAllowed(f *testing.F) {
	for _, seed := range []string{"8.8.8.8", "::ffff:127.0.0.1", "fe80::1%a", "2002::", "0x7f.1"} {
		f.Add(seed)
	}
	c := NewClient(nil)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := netip.ParseAddr(text)
		if err != nil || c.allowed(a, "80") != nil {
			return
		}
		if a = a.Unmap(); a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.Zone() != "" {
			t.Errorf("%s is allowed", text)
		}
	})
}
