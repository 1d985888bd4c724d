package plugin

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// guardStdout keeps everything away from standard output but the handshake
// line, which go-plugin prints to os.Stdout: other lines go to standard error.
// The descriptor itself is turned to standard error too where the system can,
// for those who hold the old os.Stdout.
func guardStdout() {
	original := stealStdout()
	reader, writer, err := os.Pipe()
	if err != nil {
		os.Stdout = original // then a print may break the handshake, and nothing else
		return
	}
	stderr := os.Stderr
	os.Stdout = writer
	go func() {
		lines := bufio.NewReader(reader)
		for {
			line, err := lines.ReadString('\n')
			before, handshake, found := cutHandshake(line)
			if found {
				fmt.Fprint(original, handshake)
			}
			if before != "" {
				fmt.Fprint(stderr, before)
			}
			if err != nil {
				return
			}
		}
	}()
}

// cutHandshake finds the handshake in a line, where a print without an end of
// line may stand before it.
func cutHandshake(line string) (before, handshake string, found bool) {
	mark := fmt.Sprintf("%d|%d|", goplugin.CoreProtocolVersion, pluginpb.Major)
	for _, network := range []string{"unix|", "tcp|"} {
		if i := strings.Index(line, mark+network); i >= 0 && strings.HasSuffix(line, "\n") {
			return line[:i], line[i:], true
		}
	}
	return line, "", false
}
