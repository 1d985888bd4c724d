package main

import (
	"cmp"
	"context"
	"crypto/rand"
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
	loaded, err := p.loadForCommand()
	if err != nil {
		return nil, err
	}
	c := loaded.Config
	var about *control.About
	err = onSession(ctx, c, func(s *control.Session) error {
		about = s.Running
		return nil
	}, func(context.Context) (admin.Ops, func() error, error) {
		return admin.New(nil, nil, admin.Hooks{}), func() error { return nil }, nil
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
		return access, nil
	}
	token, err := readToken(access.TokenFile)
	access.Token = token.Reveal()
	return access, err
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

// readToken reads a token's file.
func readToken(file string) (config.Secret, error) {
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
