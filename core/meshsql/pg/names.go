package pg

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// name is what a mesh's database and its role are called: the prefix, and a hash
// that other meshes, which can see it, learn nothing from. The name of the broker's
// own database goes into it, so that a copy of it on the same server has databases
// of its own.
func (e *Engine) name(mesh string) string {
	sum := sha256.Sum256([]byte("mesh sql|" + e.options.Broker + "|" + mesh))
	return e.options.Prefix + "_" + hex.EncodeToString(sum[:16])
}

// lockKey is the advisory lock that goes with a name, in the database that the
// broker administrates from, where no mesh comes.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("mesh sql|" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]) & math.MaxInt64) //nolint:gosec // the top bit is cleared
}

const scramRounds = 4096

// password returns a fresh password, and what PostgreSQL keeps of it. It is made
// here so that no log of statements shows the password.
func password() (plain, verifier string, err error) {
	plain = rand.Text()
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, plain, salt, scramRounds, sha256.Size)
	if err != nil {
		return "", "", fmt.Errorf("make a password: %w", err)
	}
	keyed := func(with []byte, text string) []byte {
		h := hmac.New(sha256.New, with)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return plain, fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramRounds, b64(salt), b64(stored[:]), b64(keyed(salted, "Server Key"))), nil
}
