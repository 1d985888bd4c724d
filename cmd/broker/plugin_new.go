package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/cmd/broker/scaffold"
)

func (p *program) pluginNewCommand() *cobra.Command {
	var o scaffold.Options
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Write the first version of a plugin",
		Long: `Writes a plugin that builds and passes its tests as it is: a stage that refuses long
messages, its tests, a README, and the link for the config. A plugin in TypeScript gets a
copy of the SDK; one in Go requires the broker's module, of this broker's release or, with
--sdk, in a directory. With --kind it is a plugin that answers a type of request. Nothing is overwritten.`,
		Example: "  broker plugin new office-hours\n" +
			"  broker plugin new office-hours --module example.com/team/office-hours --sdk ~/src/broker\n" +
			"  broker plugin new notes --kind note_put\n" +
			"  broker plugin new size-guard --lang typescript --dir plugins/size-guard",
		Args: takes("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Name = args[0]
			if o.Dir == "" {
				o.Dir = o.Name
			}
			if err := o.Check(); err != nil {
				return usage(c, err.Error())
			}
			o.Version = release()
			r, err := scaffold.Write(o)
			if err != nil {
				return err
			}
			p.printNewPlugin(o, r)
			return nil
		},
	}
	c.Flags().StringVar(&o.Language, "lang", scaffold.Go, "language: go or typescript")
	c.Flags().StringVar(&o.Kind, "kind", "", "type of request that the plugin owns and answers (default: it is a stage that judges)")
	c.Flags().StringVar(&o.Module, "module", "", "path of the Go module (default: example.com/NAME)")
	c.Flags().StringVar(&o.Dir, "dir", "", "directory to write to (default: ./NAME)")
	c.Flags().StringVar(&o.SDK, "sdk", "", "directory of the broker's sources, to build a plugin in Go against")
	return c
}

// release is the version of this program where it is one that the go command can
// fetch, else empty.
func release() string {
	v := programVersion()
	if !strings.HasPrefix(v, "v") || strings.Contains(v, "dirty") {
		return ""
	}
	return v
}

// printNewPlugin says what to type next.
func (p *program) printNewPlugin(o scaffold.Options, r *scaffold.Result) {
	fmt.Fprintf(p.out, "%d files are in %s. What to type next:\n\n  cd %s\n", len(r.Files), r.Dir, r.Dir)
	validate := "broker plugin validate " + r.Program
	if o.Language == scaffold.TypeScript {
		fmt.Fprint(p.out, "  npm run setup      # packages of the SDK and of the plugin\n  npm run build\n  npm test\n")
		validate += " --env PATH"
	} else {
		if o.Version == "" && o.SDK == "" {
			fmt.Fprint(p.out, "  # this broker is no release: add a replace to go.mod that names its sources, or use --sdk\n")
		}
		if r.Tidy {
			fmt.Fprint(p.out, "  go mod tidy        # finds what the SDK needs\n")
		}
		fmt.Fprint(p.out, "  make               # builds, and runs the tests\n")
	}
	fmt.Fprintf(p.out, "  %s\n\nThen add to the pipeline of the broker's config (it is in %s):\n\n%s\n", validate, filepath.Join(r.Dir, "link.yaml"), r.Link)
	fmt.Fprintf(p.out, "and say\n\n  broker plugin pin %s --config broker.yaml\n  broker config check --config broker.yaml\n  broker reload --wait --config broker.yaml\n", o.Name)
}
