package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/doctor"
	"github.com/claudemesh/broker/sdk"
)

const (
	// tokenName is the file of the console's generated token in the data
	// directory, and tokenBytes how much chance is in it.
	tokenName  = "console-token"
	tokenBytes = 20

	// minToken is the fewest characters that a token in the file may have, as in
	// the config.
	minToken = 16
)

// consoleAccess is how to get to the operator's page, as --json prints it.
type consoleAccess struct {
	URL       string `json:"url"`
	Token     string `json:"token,omitempty"`     // empty when this command does not know it
	TokenFile string `json:"tokenFile,omitempty"` // where the token is; empty when it is the config's
}

func (p *program) consoleCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "console",
		Short: "Print where the operator's page is, and the token that it asks for",
		Long: `Prints the address of the running broker's console, and the token to sign in with. The
broker has a console when console.listen is set. The token is console.token, or, where that
is not set, one that the broker made at its first start and keeps in the data directory, in
console-token: remove the file and start the broker again for another one.`,
		Example: "  broker serve --set console.listen=127.0.0.1:7901\n" +
			"  broker console\n" +
			"  broker console --json",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			access, err := p.findConsole(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(access)
			}
			p.printConsole(access)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// findConsole asks the running broker where its console is, and reads the token.
func (p *program) findConsole(ctx context.Context) (*consoleAccess, error) {
	c, broken, err := p.loadToAsk(ctx)
	if err != nil {
		return nil, err
	}
	var about *control.About
	err = onSession(ctx, c, func(s *control.Session) error {
		about = s.Running
		return nil
	}, func(context.Context) (admin.Ops, func() error, error) {
		return admin.New(nil, nil, admin.Hooks{}), func() error { return nil }, broken
	})
	switch {
	case err != nil:
		return nil, err
	case about == nil:
		return nil, core.Refuse(sdk.ReasonUnavailable, "no broker runs on "+c.DataDir+": start it with console.listen set, such as --set console.listen=127.0.0.1:7901")
	case about.Console == "":
		return nil, core.Refuse(sdk.ReasonNotFound, "the broker on "+c.DataDir+" has no console: set console.listen, such as to 127.0.0.1:7901, and start it again")
	}
	access := &consoleAccess{URL: about.Console, TokenFile: about.ConsoleTokenFile}
	if access.TokenFile == "" {
		access.Token = c.Console.Token.Reveal()
	} else {
		token, err := readToken(access.TokenFile)
		if err != nil {
			return nil, err
		}
		access.Token = token.Reveal()
	}
	if hash := about.ConsoleTokenHash; access.Token != "" && hash != "" && hash != tokenHash(config.Secret(access.Token)) {
		where := "console.token of this command's config"
		if access.TokenFile != "" {
			where = access.TokenFile
		}
		return nil, core.Refuse("console_token", where+" is not the token that the broker was started with, at "+access.URL+
			": give this command the broker's own config, or start the broker again")
	}
	return access, nil
}

// tokenHash is enough of a token's hash to see that two differ, and too little
// to find it by: four bytes in hex, or nothing for no token.
func tokenHash(token config.Secret) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:4])
}

func (p *program) printConsole(a *consoleAccess) {
	fmt.Fprintf(p.out, "url    %s\ntoken  %s\n", a.URL, cmp.Or(a.Token, "the console.token that the broker was started with"))
}

// consoleToken returns the token of the console, and the file that has it where
// the config has not. Without a file it makes one; the token is empty where there
// is no console.
func consoleToken(c config.Config) (token config.Secret, file string, err error) {
	if c.Console.Listen == "" || c.Console.Token != "" {
		return c.Console.Token, "", nil
	}
	file = filepath.Join(c.DataDir, tokenName)
	token, err = readToken(file)
	if errors.Is(err, fs.ErrNotExist) {
		random := make([]byte, tokenBytes)
		rand.Read(random) // never fails: it ends the process instead
		err = writeNew(file, []byte(hex.EncodeToString(random)+"\n"))
		if err == nil || errors.Is(err, fs.ErrExist) {
			token, err = readToken(file)
		}
	}
	if err != nil {
		return "", "", err
	}
	return token, file, nil
}

// private refuses a token's file that somebody else may have read or written: one
// that is open to other users, or belongs to one. Root reads that of the
// directory's owner too.
func private(file string, info fs.FileInfo) error {
	ownerOf := doctor.ThisMachine(nil).Owner
	uid, known := ownerOf(info)
	fix := ""
	switch {
	case !info.Mode().IsRegular():
		fix = "is no regular file: remove it"
	case !known: // a system without owners and modes
		return nil
	case uid != os.Geteuid() && (os.Geteuid() != 0 || !ownsDirOf(file, uid)):
		fix = fmt.Sprintf("belongs to user %d, and this runs as user %d: run this as the user that the broker runs as, or remove the file", uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		fix = fmt.Sprintf("is open to other users (mode %04o), who may know the token: remove it; or, if nobody else was on this machine, chmod 600 it", info.Mode().Perm())
	default:
		return nil
	}
	return core.Refuse("console_token", file+" "+fix+". The broker makes another token when it starts")
}

func ownsDirOf(file string, uid int) bool {
	info, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return false
	}
	owner, known := doctor.ThisMachine(nil).Owner(info)
	return known && owner == uid
}

// readToken reads a token's file, if it is its owner's alone.
func readToken(file string) (config.Secret, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("console token: %w", err)
	}
	if err := private(file, info); err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("console token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken {
		return "", core.Refuse("console_token", fmt.Sprintf(
			"%s holds no token of %d characters or more: remove it, and the broker makes another when it starts", file, minToken))
	}
	return config.Secret(token), nil
}

// console is what the broker's page needs of this program.
func (b *broker) console() *app.Console {
	return &app.Console{
		Token: b.token, File: b.loaded.File,
		Loaded: func() admin.Loaded { return b.reloads.Loaded() },
		Check: func(ctx context.Context) (*admin.Reload, error) {
			return b.reloads.Reload(ctx, admin.ReloadOptions{DryRun: true})
		},
	}
}

// sayConsole tells the operator where the page is.
func (b *broker) sayConsole() {
	if url := b.app.ConsoleURL(); url != "" {
		fmt.Fprintf(b.err, "console on %s; broker console%s prints its token\n", url, b.settings.place(b.config))
	}
}
