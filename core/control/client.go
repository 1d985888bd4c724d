package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/pluginhost"
)

// ErrNotRunning is returned by [Dial] when no broker listens on the directory's
// socket.
var ErrNotRunning = errors.New("no broker runs")

// Client asks a running broker. All methods may be called concurrently.
type Client struct {
	http  *http.Client
	about About
}

var _ admin.Ops = (*Client)(nil)

// Dial finds the broker that runs on a data directory. Without one it returns
// [ErrNotRunning]; any other error means that there is one and it does not
// answer.
func Dial(ctx context.Context, dataDir string) (*Client, error) {
	path, err := find(dataDir)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		MaxIdleConns: 1, IdleConnTimeout: time.Minute,
	}
	c := &Client{http: &http.Client{Transport: transport}}
	c.about, err = call[About](ctx, c, opAbout, none{})
	switch {
	case err == nil:
		return c, nil
	case nobody(err):
		err = ErrNotRunning
	default:
		err = fmt.Errorf("the broker on %s does not answer on %s: %w", dataDir, path, err)
	}
	c.Close()
	return nil, err
}

// About returns what the broker said of itself.
func (c *Client) About() About { return c.about }

// Close gives up the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CreateMesh implements [admin.Ops].
func (c *Client) CreateMesh(ctx context.Context, name string, o admin.MeshOptions) (*admin.NewMesh, error) {
	return call[*admin.NewMesh](ctx, c, opCreateMesh, createMeshQuestion{name, o.Members, o.Owner})
}

// ListMeshes implements [admin.Ops].
func (c *Client) ListMeshes(ctx context.Context) ([]admin.Mesh, error) {
	return call[[]admin.Mesh](ctx, c, opListMeshes, none{})
}

// ListMembers implements [admin.Ops].
func (c *Client) ListMembers(ctx context.Context, mesh string) ([]admin.Member, error) {
	return call[[]admin.Member](ctx, c, opListMembers, meshQuestion{mesh})
}

// RevokeMember implements [admin.Ops].
func (c *Client) RevokeMember(ctx context.Context, mesh, ref string) (*admin.Revocation, error) {
	return call[*admin.Revocation](ctx, c, opRevokeMember, revokeQuestion{mesh, ref})
}

// LinkMember implements [admin.Ops].
func (c *Client) LinkMember(ctx context.Context, mesh, ref, account string, move bool) (*admin.MemberLink, error) {
	return call[*admin.MemberLink](ctx, c, opLinkMember, linkQuestion{mesh, ref, account, move})
}

// CreateInvite implements [admin.Ops].
func (c *Client) CreateInvite(ctx context.Context, mesh string, o admin.InviteOptions) (*admin.Invite, error) {
	return call[*admin.Invite](ctx, c, opCreateInvite, inviteQuestion{mesh, o.Role, o.Uses, o.TTL})
}

// CreateToken implements [admin.Ops].
func (c *Client) CreateToken(ctx context.Context, account string, o admin.TokenOptions) (*admin.NewToken, error) {
	return call[*admin.NewToken](ctx, c, opCreateToken, createTokenQuestion{account, o.Email, o.Name, o.TTL})
}

// ListTokens implements [admin.Ops].
func (c *Client) ListTokens(ctx context.Context, account string) ([]admin.Token, error) {
	return call[[]admin.Token](ctx, c, opListTokens, accountQuestion{account})
}

// RevokeToken implements [admin.Ops].
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := call[none](ctx, c, opRevokeToken, tokenQuestion{id})
	return err
}

// ApproveSignIn implements [admin.Ops].
func (c *Client) ApproveSignIn(ctx context.Context, code, account string) (*admin.Approval, error) {
	return call[*admin.Approval](ctx, c, opApproveSignIn, approveQuestion{code, account})
}

// ListAccounts implements [admin.Ops].
func (c *Client) ListAccounts(ctx context.Context) ([]admin.Account, error) {
	return call[[]admin.Account](ctx, c, opListAccounts, none{})
}

// SetAccountEnabled implements [admin.Ops].
func (c *Client) SetAccountEnabled(ctx context.Context, account string, enabled bool) (*admin.Account, error) {
	if !enabled {
		return call[*admin.Account](ctx, c, opDisableAccount, accountQuestion{account})
	}
	return call[*admin.Account](ctx, c, opEnableAccount, switchQuestion{account, true})
}

// SetAccountLegacy implements [admin.Ops].
func (c *Client) SetAccountLegacy(ctx context.Context, account string, allowed bool) (*admin.Account, error) {
	return call[*admin.Account](ctx, c, opLegacyAccount, switchQuestion{account, allowed})
}

// SetMeshOwner implements [admin.Ops].
func (c *Client) SetMeshOwner(ctx context.Context, mesh, account string) (*admin.MeshOwner, error) {
	return call[*admin.MeshOwner](ctx, c, opSetMeshOwner, ownQuestion{mesh, account})
}

// VerifyAudit implements [admin.Ops].
func (c *Client) VerifyAudit(ctx context.Context, mesh string) (*admin.Verification, error) {
	return call[*admin.Verification](ctx, c, opVerifyAudit, meshQuestion{mesh})
}

// Migrations implements [admin.Ops].
func (c *Client) Migrations(ctx context.Context) ([]admin.Migration, error) {
	return call[[]admin.Migration](ctx, c, opMigrations, none{})
}

// Migrate implements [admin.Ops].
func (c *Client) Migrate(ctx context.Context) ([]admin.Migration, error) {
	return call[[]admin.Migration](ctx, c, opMigrate, none{})
}

// Chain implements [admin.Ops].
func (c *Client) Chain(ctx context.Context) (*admin.Chain, error) {
	return call[*admin.Chain](ctx, c, opDescribeChain, none{})
}

// Reload implements [admin.Ops].
func (c *Client) Reload(ctx context.Context, o admin.ReloadOptions) (*admin.Reload, error) {
	return call[*admin.Reload](ctx, c, opReload, o)
}

// ListPlugins implements [admin.Ops].
func (c *Client) ListPlugins(ctx context.Context) ([]pluginhost.Status, error) {
	return call[[]pluginhost.Status](ctx, c, opListPlugins, none{})
}

// ResumePlugin implements [admin.Ops].
func (c *Client) ResumePlugin(ctx context.Context, link string) error {
	_, err := call[none](ctx, c, opResumePlugin, pluginQuestion{link})
	return err
}

// ListRefusals implements [admin.Ops].
func (c *Client) ListRefusals(ctx context.Context, o admin.RefusalOptions) (*admin.Refusals, error) {
	return call[*admin.Refusals](ctx, c, opListRefusals, o)
}

// LogLevel implements [admin.Ops].
func (c *Client) LogLevel(ctx context.Context) (*admin.LogLevel, error) {
	return call[*admin.LogLevel](ctx, c, opLogLevel, none{})
}

// SetLogLevel implements [admin.Ops].
func (c *Client) SetLogLevel(ctx context.Context, o admin.LogLevelOptions) (*admin.LogLevel, error) {
	return call[*admin.LogLevel](ctx, c, opSetLogLevel, o)
}

// call does one operation. A failure that the broker reports is a [core.Error].
func call[Answer any](ctx context.Context, c *Client, op string, question any) (answer Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeFor(op)+questionTime)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return answer, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://broker"+version+op, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return answer, fmt.Errorf("the broker stopped in the middle of its answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return answer, failed(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("the answer of the running broker cannot be read, it may be another version: %w", err)
	}
	return answer, nil
}

// failed reads the body of a failure.
func failed(status int, text []byte) error {
	var f failure
	if err := json.Unmarshal(text, &f); err != nil || f.Code == "" {
		return fmt.Errorf("the running broker answered %d", status)
	}
	return core.Refuse(f.Code, f.Message)
}
