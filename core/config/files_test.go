package config

import (
	"strings"
	"testing"
)

// TestFlawExt59: the original's variables mean what they were meant to mean, and
// none has to be set for the broker to start.
func TestFlawExt59(t *testing.T) {
	t.Parallel()
	account := []string{"MINIO_ACCESS_KEY=claudemesh", "MINIO_SECRET_KEY=changeme"}
	for _, tt := range []struct {
		name     string
		environ  []string
		storage  FileStorage
		endpoint string
		tls      bool
	}{
		{"nothing", nil, FilesOnDisk, "", true},
		{"an endpoint", append(account, "MINIO_ENDPOINT=minio:9000"), FilesOnS3, "minio:9000", false},
		{"an endpoint without a port", append(account, "MINIO_ENDPOINT=minio"), FilesOnS3, "minio:9000", false},
		{"TLS", append(account, "MINIO_ENDPOINT=minio:443", "MINIO_USE_SSL=true"), FilesOnS3, "minio:443", true},
		{"no TLS", append(account, "MINIO_ENDPOINT=minio:443", "MINIO_USE_SSL=false"), FilesOnS3, "minio:443", false},
		{"an empty switch", append(account, "MINIO_ENDPOINT=minio:443", "MINIO_USE_SSL="), FilesOnS3, "minio:443", false},
		{"a PostgreSQL", []string{"DATABASE_URL=postgres://h/d"}, FilesOff, "", true},
	} {
		l, err := Load(Options{Environ: tt.environ})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if c := l.Config; c.FileStorage() != tt.storage || c.Files.S3.Endpoint != tt.endpoint || c.Files.S3.TLS != tt.tls {
			t.Errorf("%s: got %s, %+v", tt.name, c.FileStorage(), c.Files.S3)
		}
		if len(l.Warnings) > 0 {
			t.Errorf("%s: warns %v", tt.name, l.Warnings)
		}
	}
}

func TestFilesProblems(t *testing.T) {
	t.Parallel()
	const s3 = "files: {storage: s3, s3: {endpoint: h, access_key: a, secret_key: b"
	for file, want := range map[string]string{
		"files: {storage: s3}":                             "files.s3.endpoint",
		"files: {storage: s3, s3: {endpoint: h}}":          "files.s3.access_key",
		"files: {s3: {endpoint: h}}":                       "files.s3.access_key",
		s3 + ", bucket: A}}":                               "files.s3.bucket",
		s3 + ", prefix: ../x}}":                            "files.s3.prefix",
		strings.Replace(s3, "h,", "'http://h',", 1) + "}}": "files.s3.endpoint",
		"files: {file_bytes: 11, mesh_bytes: 20}":          "files.file_bytes",
		"files: {storage: tape}":                           "files.storage",
	} {
		_, err := Load(Options{File: []byte(file)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", file, err, want)
		}
	}
	if _, err := Load(Options{File: []byte(s3 + "}}")}); err != nil {
		t.Error(err)
	}
}
