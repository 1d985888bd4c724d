package api

import (
	"context"
	"encoding/hex"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// noteTimeout bounds how long an access is being written of a request that is over.
const noteTimeout = 5 * time.Second

// maxRanges is how many ranges of a file one request gets. Each is read on its own,
// wherever the bytes are.
const maxRanges = 16

// GetDownload is GET /download/{id}.
type GetDownload struct {
	ID     string `path:"id" json:"-" doc:"id of the file"`
	Mesh   string `query:"mesh" json:"-" doc:"id or slug of the mesh"`
	Ticket string `query:"ticket" json:"-" doc:"as get_file has given it, in the place of another proof"`
}

// MeshName implements [feature.MeshNamer].
func (m *GetDownload) MeshName() string { return m.Mesh }

// FileContent answers a [GetDownload] with the bytes of a file.
type FileContent struct {
	downloads *downloads
	file      *store.File
	peer      sdk.Key
	name      string // of the member that gets it
}

// Downloads adds the route by which files go out.
func Downloads(t *Table, d Deps) {
	s := &downloads{d}
	const any = "*/*"
	On(t, Route{
		Method: http.MethodGet, Path: "/download/{id}", Kind: "http.file.download", Group: groupFiles, Body: BodyNone,
		Summary: "sends a file, or the ranges of it that were asked for", Access: feature.AnyoneKnown,
		Wants:  ByAccount | ByMember | ByTicket,
		Status: map[sdk.Reason]int{feature.ReasonNotAvailable: http.StatusNotImplemented},
		Also: []Answer{
			{http.StatusOK, "The file.", any},
			{http.StatusPartialContent, "What was asked for of it.", any},
			{http.StatusNotModified, "The caller has it already.", ""},
			{http.StatusPreconditionFailed, "The file is another one.", ""},
			{http.StatusRequestedRangeNotSatisfiable, "It has no such part.", "text/plain"},
		},
		Refusals: []sdk.Reason{feature.ReasonNoBearer, sdk.ReasonForbidden, sdk.ReasonNotFound, feature.ReasonNotAvailable},
	}, s.get)
}

type downloads struct{ Deps }

// get decides whether the caller may have a file. Who has a ticket was asked over
// the socket whether the file is for it.
func (s *downloads) get(ctx context.Context, c *feature.Call, m *GetDownload) (*FileContent, error) {
	member, peer, err := s.holder(ctx, c, feature.TicketDownload, m.ID, m.Mesh, m.Ticket)
	if err != nil {
		return nil, err
	}
	f, err := s.Files.Find(ctx, member.MeshID, m.ID)
	if err != nil {
		return nil, err
	}
	if m.Ticket == "" {
		if peer, _, err = s.Files.Open(ctx, c, f); err != nil {
			return nil, err
		}
	}
	return &FileContent{s, f, peer, member.DisplayName}, nil
}

// Continue implements [Continued].
func (d *FileContent) Continue(w http.ResponseWriter, r *http.Request) (any, error) {
	s, f := d.downloads, d.file
	content, err := s.Bytes.Open(r.Context(), f)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	defer content.Close() //nolint:errcheck // only read
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		r.Header.Del("Range") // the whole file is an answer too
	}
	if r.Method == http.MethodGet && r.Header.Get("Range") == "" {
		if err := content.Prime(); err != nil {
			return nil, core.Unavailable(err)
		}
	}
	h := w.Header()
	h.Set("Content-Type", f.MediaType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Cache-Control", "private, max-age=60")
	h.Set("ETag", `"`+hex.EncodeToString(f.Digest[:])+`"`)
	answer := pacedAnswer(w, s.Config.WriteTimeout)
	http.ServeContent(answer, r, "", f.ReadyAt, content)
	if err := content.Err(); err != nil && r.Context().Err() == nil {
		s.Log.Warn("file not sent whole", slog.String("file", f.ID), slog.Any("err", err))
	}
	if answer.sent > 0 && content.Served() > 0 {
		s.note(r.Context(), d)
	}
	return nil, nil
}

// note writes who got bytes of a file. The answer has gone: what fails is for the
// operator.
func (s *downloads) note(ctx context.Context, d *FileContent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := s.Files.Served(ctx, d.file, d.peer, d.name); err != nil {
		s.Log.Warn("access to a file not written", slog.String("file", d.file.ID), slog.Any("err", err))
	}
}
