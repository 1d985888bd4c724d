//go:build unix

package processtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// ModeEnv is the variable of the mode. Options.Env has to list it.
const ModeEnv = "PROCESSTEST_MODE"

// Modes.
const (
	Serve      = "serve"       // as a good plugin does
	SlowEnd    = "slow-end"    // serve, and take 2.5 s to end
	NeverEnd   = "never-end"   // serve, ignore SIGTERM and never end
	Major2     = "major-2"     // serve another major version
	Garbage    = "garbage"     // print a line before serving
	Endless    = "endless"     // print without an end of line, for ever
	Silent     = "silent"      // print nothing, for ever
	Stuck      = "stuck"       // print half a line, then nothing
	Fails      = "fails"       // write to stderr and exit with 7
	Panics     = "panics"      // panic at once
	TCP        = "tcp"         // offer a TCP port
	NoCert     = "no-cert"     // offer a socket without a certificate
	Mute       = "mute"        // offer a socket and never answer on it
	DiesLate   = "dies-late"   // offer a socket that refuses, and exit
	CrashAfter = "crash-after" // serve for 20 ms, then exit with 9
)

// Run is the plugin, and does not return, when the program was started as one.
func Run() {
	mode := os.Getenv(ModeEnv)
	if mode == "" || os.Getenv(pluginpb.CookieKey) == "" {
		return
	}
	go watchLifeline()
	switch mode {
	case SlowEnd:
		serve(pluginpb.Major)
		time.Sleep(2500 * time.Millisecond)
	case NeverEnd:
		ignoreTerm()
		serve(pluginpb.Major)
		select {}
	case Major2:
		serve(2)
	case Garbage:
		fmt.Println("hello from the plugin")
		serve(pluginpb.Major)
	case Endless:
		for junk := bytes.Repeat([]byte("junk"), 1<<14); ; {
			_, _ = os.Stdout.Write(junk)
		}
	case Silent:
		select {}
	case Stuck:
		fmt.Print("1|1|un")
		select {}
	case Fails:
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(7)
	case Panics:
		panic("cannot go on")
	case TCP:
		fmt.Println("1|1|tcp|127.0.0.1:1|grpc|")
		select {}
	case NoCert, Mute:
		offer(true)
	case DiesLate:
		offer(false)
	case CrashAfter:
		time.AfterFunc(20*time.Millisecond, func() { os.Exit(9) })
		serve(pluginpb.Major)
	default:
		serve(pluginpb.Major)
	}
	os.Exit(0)
}

// watchLifeline ends the program when the host is gone.
func watchLifeline() {
	fd, err := strconv.Atoi(os.Getenv(pluginpb.LifelineEnv))
	if err != nil {
		return
	}
	_, err = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
	if err == nil || errors.Is(err, io.EOF) {
		os.Exit(0)
	}
}

// offer writes a handshake for a socket of its own. Without staying it exits
// at once, and leaves the socket's file behind.
func offer(stay bool) {
	path := filepath.Join(os.Getenv(plugin.EnvUnixSocketDir), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		panic(err)
	}
	l.SetUnlinkOnClose(false)
	fmt.Printf("1|1|unix|%s|grpc|\n", path)
	if stay {
		select {}
	}
	_ = l.Close()
}

func serve(major uint) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  major,
			MagicCookieKey:   pluginpb.CookieKey,
			MagicCookieValue: pluginpb.CookieValue,
		},
		Plugins: plugin.PluginSet{pluginpb.PluginName: &stage{}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(64<<20))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}
