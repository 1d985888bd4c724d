package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
	"github.com/hashicorp/go-plugin"
)

// maxHandshake is the longest first line in bytes. One with a certificate has
// about 900.
const maxHandshake = 8 << 10

// firstLine is what a plugin wrote first.
type firstLine struct {
	text string // without its end; up to maxHandshake bytes
	err  error  // why it has no end
}

// readStdout reads the first line, sends it, and hands on the rest until the
// end, so that the plugin never waits for us.
func readStdout(r *os.File, first chan<- firstLine, rest io.Writer) {
	b := bufio.NewReaderSize(r, maxHandshake)
	line, err := b.ReadSlice('\n')
	first <- firstLine{text: strings.TrimSpace(string(line)), err: err}
	_, _ = io.Copy(rest, b)
}

// judge returns what is wrong with the first line, in words for the operator.
// The life's directory is dir.
func (f firstLine) judge(mtls bool, dir string) error {
	parts := strings.Split(f.text, "|")
	switch {
	case errors.Is(f.err, bufio.ErrBufferFull):
		return fmt.Errorf("wrote %s to stdout, where the handshake has to be the first line: print to stderr, and serve before anything else", quote(f.text))
	case f.err != nil && f.text == "":
		return errors.New("closed stdout without a handshake: does it serve as a plugin?")
	case f.err != nil || len(parts) < 5 || parts[0] != strconv.Itoa(plugin.CoreProtocolVersion):
		return fmt.Errorf("wrote %s to stdout, where the handshake has to be the first line: print to stderr, and serve before anything else", quote(f.text))
	case parts[1] != strconv.Itoa(pluginpb.Major):
		return fmt.Errorf("speaks version %s of the plugin protocol, this broker speaks version %d: use a plugin that is built for this broker", quoted(parts[1]), pluginpb.Major)
	case parts[4] != string(plugin.ProtocolGRPC):
		return fmt.Errorf("serves %s, it has to serve grpc", quoted(parts[4]))
	case parts[2] != "unix" || filepath.Dir(parts[3]) != dir:
		return fmt.Errorf("listens at %s %s, it has to listen on a unix socket in the directory that %s names", quoted(parts[2]), quote(parts[3]), plugin.EnvUnixSocketDir)
	case mtls && (len(parts) < 6 || len(parts[5]) <= 50): // go-plugin ignores shorter ones
		return errors.New("has no certificate in its handshake: use an SDK that does mutual TLS, or set mtls to false for it")
	}
	return nil
}

// quoted quotes words that are not plainly words.
func quoted(s string) string {
	if s != "" && len(s) < 20 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
		return s
	}
	return quote(s)
}
