package postgres

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/bus/internal/gaps"
	"github.com/claudemesh/broker/core/bus/internal/outbox"
)

// What is packed is there again when it is parsed, in its order, and no text is
// longer than NOTIFY takes.
func TestPack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		b := &Bus{sender: gaps.NewSender()}
		messages := make([]outbox.Message, random.IntN(300))
		for i := range messages {
			messages[i] = outbox.Message{
				Subject: strings.Repeat("s", 1+random.IntN(255)),
				Data:    bytes.Repeat([]byte{byte(i)}, random.IntN(random.IntN(maxInline+1000)+1)),
			}
		}
		p := b.pack(messages)
		if !slices.EqualFunc(messages, unpack(t, p), same) {
			t.Fatalf("%d messages are not there again", len(messages))
		}
	}
}

func same(a, b outbox.Message) bool { return a.Subject == b.Subject && bytes.Equal(a.Data, b.Data) }

// What a datagram holds at most, it may hold to the byte.
func TestPackStaysWithinItsRoom(t *testing.T) {
	for length := range 255 {
		b := &Bus{sender: gaps.NewSender()}
		messages := make([]outbox.Message, 200)
		for i := range messages {
			messages[i] = outbox.Message{Subject: strings.Repeat("s", 1+(length+i)%255), Data: make([]byte, (i%2)*(maxInline+1))}
		}
		if p := b.pack(messages); !slices.EqualFunc(messages, unpack(t, p), same) {
			t.Fatalf("%d messages are not there again", len(messages))
		}
	}
}

func TestPackOfNothing(t *testing.T) {
	b := &Bus{sender: gaps.NewSender()}
	if p := b.pack(nil); len(p.texts) != 1 || len(unpack(t, p)) != 0 {
		t.Errorf("got %q, want one datagram with nothing but its number", p.texts)
	}
}

func TestLargestInline(t *testing.T) {
	b := &Bus{sender: gaps.NewSender()}
	m := outbox.Message{Subject: strings.Repeat("s", 255), Data: make([]byte, maxInline)}
	if p := b.pack([]outbox.Message{m, m}); len(p.texts) != 2 || len(p.ids) != 0 || len(unpack(t, p)) != 2 {
		t.Errorf("got %d datagrams and %d stored payloads", len(p.texts), len(p.ids))
	}
}

func unpack(t *testing.T, p pack) (messages []outbox.Message) {
	t.Helper()
	var seen gaps.Seen
	for _, text := range p.texts {
		if len(text) > maxText {
			t.Fatalf("a text has %d bytes", len(text))
		}
		d, err := parseDatagram(text)
		if err != nil || d.sender != p.sender || seen.Gap(d.sender, d.number) {
			t.Fatalf("got sender %d, number %d, error %v", d.sender, d.number, err)
		}
		for len(d.rest) > 0 {
			it, err := d.next()
			if err != nil {
				t.Fatal(err)
			}
			if it.stored != 0 {
				it.data = p.stored[it.stored-1]
			}
			messages = append(messages, outbox.Message{Subject: it.subject, Data: it.data})
		}
	}
	return messages
}

// Whoever may notify on the channel decides what arrives.
func FuzzParseDatagram(f *testing.F) {
	b := &Bus{sender: gaps.NewSender()}
	for _, text := range b.pack([]outbox.Message{{Subject: "x", Data: []byte("y")}, {Subject: "z", Data: make([]byte, maxInline+1)}}).texts {
		f.Add(text)
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDatagram(text)
		for size := 0; err == nil && len(d.rest) > 0; {
			var it item
			if it, err = d.next(); err != nil {
				return
			}
			if size += len(it.subject) + len(it.data); size > len(text) {
				t.Fatalf("%d bytes came out of %d", size, len(text))
			}
		}
	})
}
