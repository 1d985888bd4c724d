package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// Times of one connection to the socket.
const (
	questionTime = 10 * time.Second // for the question to arrive
	answerTime   = time.Minute      // for the answer to be read, from the end of the operation
)

// Server answers commands. Make it with [Serve].
type Server struct {
	http   *http.Server
	socket *socket
	done   chan struct{} // closed when nothing is accepted any more
	log    *slog.Logger
}

// Serve opens the socket of a data directory and answers commands with ops until
// Close. It removes the socket that a dead process left, and returns
// [ErrRunning] where a living one answers. The caller holds the directory's
// [Lock]. The context bounds the opening only.
func Serve(ctx context.Context, dataDir string, ops admin.Ops, a About, log *slog.Logger) (*Server, error) {
	socket, err := listen(ctx, dataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		http: &http.Server{
			Handler: routes(ops, a, log), ReadHeaderTimeout: questionTime, MaxHeaderBytes: 8 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		socket: socket, done: make(chan struct{}), log: log,
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket closed", slog.Any("err", err))
		}
	}()
	return s, nil
}

// Path returns where the socket is.
func (s *Server) Path() string { return s.socket.path }

// Close takes no further commands, waits for those under way until ctx ends, and
// removes the socket.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return errors.Join(err, s.socket.remove())
}

// routes are all operations.
func routes(ops admin.Ops, a About, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	on(mux, log, opAbout, func(context.Context, none) (About, error) { return a, nil })
	on(mux, log, opCreateMesh, func(ctx context.Context, q createMeshQuestion) (*admin.NewMesh, error) {
		return ops.CreateMesh(ctx, q.Name, q.options())
	})
	on(mux, log, opListMeshes, func(ctx context.Context, _ none) ([]admin.Mesh, error) { return ops.ListMeshes(ctx) })
	on(mux, log, opListMembers, func(ctx context.Context, q meshQuestion) ([]admin.Member, error) {
		return ops.ListMembers(ctx, q.Mesh)
	})
	on(mux, log, opRevokeMember, func(ctx context.Context, q revokeQuestion) (*admin.Revocation, error) {
		return ops.RevokeMember(ctx, q.Mesh, q.Member)
	})
	on(mux, log, opLinkMember, func(ctx context.Context, q linkQuestion) (*admin.MemberLink, error) {
		return ops.LinkMember(ctx, q.Mesh, q.Member, q.Account, q.Move)
	})
	on(mux, log, opCreateInvite, func(ctx context.Context, q inviteQuestion) (*admin.Invite, error) {
		return ops.CreateInvite(ctx, q.Mesh, q.options())
	})
	accountRoutes(mux, ops, log)
	on(mux, log, opVerifyAudit, func(ctx context.Context, q meshQuestion) (*admin.Verification, error) {
		return ops.VerifyAudit(ctx, q.Mesh)
	})
	on(mux, log, opMigrations, func(ctx context.Context, _ none) ([]admin.Migration, error) { return ops.Migrations(ctx) })
	on(mux, log, opMigrate, func(ctx context.Context, _ none) ([]admin.Migration, error) { return ops.Migrate(ctx) })
	on(mux, log, opDescribeChain, func(ctx context.Context, _ none) (*admin.Chain, error) { return ops.Chain(ctx) })
	on(mux, log, opReload, ops.Reload)
	on(mux, log, opListPlugins, func(ctx context.Context, _ none) ([]pluginhost.Status, error) { return ops.ListPlugins(ctx) })
	on(mux, log, opResumePlugin, func(ctx context.Context, q pluginQuestion) (none, error) {
		return none{}, ops.ResumePlugin(ctx, q.Link)
	})
	on(mux, log, opListRefusals, ops.ListRefusals)
	on(mux, log, opLogLevel, func(ctx context.Context, _ none) (*admin.LogLevel, error) { return ops.LogLevel(ctx) })
	on(mux, log, opSetLogLevel, ops.SetLogLevel)
	mux.HandleFunc("/", unknown)
	return mux
}

// accountRoutes are the operations on accounts and their tokens.
func accountRoutes(mux *http.ServeMux, ops admin.Ops, log *slog.Logger) {
	on(mux, log, opCreateToken, func(ctx context.Context, q createTokenQuestion) (*admin.NewToken, error) {
		return ops.CreateToken(ctx, q.Account, q.options())
	})
	on(mux, log, opListTokens, func(ctx context.Context, q accountQuestion) ([]admin.Token, error) {
		return ops.ListTokens(ctx, q.Account)
	})
	on(mux, log, opRevokeToken, func(ctx context.Context, q tokenQuestion) (none, error) {
		return none{}, ops.RevokeToken(ctx, q.ID)
	})
	on(mux, log, opApproveSignIn, func(ctx context.Context, q approveQuestion) (*admin.Approval, error) {
		return ops.ApproveSignIn(ctx, q.Code, q.Account)
	})
	on(mux, log, opListAccounts, func(ctx context.Context, _ none) ([]admin.Account, error) { return ops.ListAccounts(ctx) })
	on(mux, log, opEnableAccount, func(ctx context.Context, q switchQuestion) (*admin.Account, error) {
		return ops.SetAccountEnabled(ctx, q.Account, q.On)
	})
	on(mux, log, opDisableAccount, func(ctx context.Context, q accountQuestion) (*admin.Account, error) {
		return ops.SetAccountEnabled(ctx, q.Account, false)
	})
	on(mux, log, opLegacyAccount, func(ctx context.Context, q switchQuestion) (*admin.Account, error) {
		return ops.SetAccountLegacy(ctx, q.Account, q.On)
	})
	on(mux, log, opSetMeshOwner, func(ctx context.Context, q ownQuestion) (*admin.MeshOwner, error) {
		return ops.SetMeshOwner(ctx, q.Mesh, q.Account)
	})
}

// on answers one operation.
func on[Question, Answer any](mux *http.ServeMux, log *slog.Logger, op string, f func(context.Context, Question) (Answer, error)) {
	mux.HandleFunc("POST "+version+op, func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), timeFor(op))
		defer cancel()
		answer, err := ask(ctx, w, r, f)
		// Connections have no deadline of their own, so that a slow operation is
		// not cut; from here on there is one.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		if err == nil {
			reply(w, http.StatusOK, answer)
			log.Debug("command", slog.String("op", op), slog.Duration("took", time.Since(start)))
			return
		}
		code, text := admin.Explain(err)
		reply(w, status(code), failure{code, text})
		log.Info("command refused", slog.String("op", op), slog.String("code", string(code)), slog.Any("err", err))
	})
}

// ask reads the question and does the operation.
func ask[Question, Answer any](ctx context.Context, w http.ResponseWriter, r *http.Request, f func(context.Context, Question) (Answer, error)) (answer Answer, err error) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(questionTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, questionBytes))
	_ = conn.SetReadDeadline(time.Time{}) // the end of the connection still cancels the operation
	if err != nil {
		return answer, core.Refuse(sdk.ReasonMalformed, "the question did not arrive whole, or is too large")
	}
	var q Question
	if err := json.Unmarshal(body, &q); err != nil {
		return answer, core.Refuse(sdk.ReasonMalformed, "the question is not the JSON that this operation takes: "+err.Error())
	}
	return f(ctx, q)
}

// unknown answers what no operation does: the command is newer than the broker.
func unknown(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusNotFound, failure{codeUnknown, "the running broker does not know the operation " + r.URL.Path +
		": it is another version than this command; restart it"})
}

// codeUnknown is the code of operations that a broker does not have.
const codeUnknown sdk.Reason = "unknown_operation"

// status is the HTTP status of a failure, for whoever asks with curl; the client
// reads the code.
func status(code sdk.Reason) int {
	switch code {
	case sdk.ReasonInternal:
		return http.StatusInternalServerError
	case sdk.ReasonUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnprocessableEntity
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever asked has gone: nothing to tell
}
