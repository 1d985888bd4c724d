package config

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Files says where the files are that members share, and how much there may be.
type Files struct {
	Storage   FileStorage   `koanf:"storage" one:"auto|disk|s3|off" doc:"where the bytes of files are. disk: in files.dir. s3: in a bucket of files.s3. off: this broker shares no files. auto: s3 where files.s3.endpoint is set; else disk with the embedded store, and off with PostgreSQL, since brokers that share one have to share the files too"`
	Dir       string        `koanf:"dir" doc:"directory of disk. Several brokers need one that all of them see, such as a network file system. Empty: files below data_dir. A relative path in the file counts from the file's directory"`
	FileBytes int           `koanf:"file_bytes" limit:"1..1099511627776" doc:"largest file"`
	MeshBytes int           `koanf:"mesh_bytes" limit:"1..1125899906842624" doc:"bytes of all files of a mesh, unfinished uploads among them. One member may have half of it"`
	Keep      time.Duration `koanf:"keep" limit:"1m..87600h" doc:"how long an ephemeral file is kept, counted from the end of its upload. Others stay until somebody deletes them"`
	S3        S3            `koanf:"s3" doc:"an S3-compatible server"`
}

// S3 says where an S3-compatible server is, and who we are there.
type S3 struct {
	Endpoint  string `koanf:"endpoint" doc:"its address, as host or host:port, such as s3.eu-west-1.amazonaws.com or minio:9000"`
	TLS       bool   `koanf:"tls" doc:"speak to it over TLS"`
	Region    string `koanf:"region" doc:"its region. Empty: the server says"`
	Bucket    string `koanf:"bucket" doc:"bucket for the files of all meshes; made when it is missing"`
	Prefix    string `koanf:"prefix" doc:"what the names of all objects begin with, before a slash. Empty: nothing"`
	AccessKey string `koanf:"access_key" doc:"name of the account"`
	SecretKey Secret `koanf:"secret_key" doc:"its key. Better set in the environment than in a file"`
}

// FileStorage says where the bytes of files are.
type FileStorage string

// Places for the bytes of files.
const (
	FilesAuto   FileStorage = "auto"
	FilesOnDisk FileStorage = "disk"
	FilesOnS3   FileStorage = "s3"
	FilesOff    FileStorage = "off"
)

func defaultFiles() Files {
	return Files{
		Storage: FilesAuto, FileBytes: 50 << 20, MeshBytes: 2 << 30, Keep: 7 * 24 * time.Hour,
		S3: S3{TLS: true, Bucket: "claudemesh", Prefix: "files"},
	}
}

// FileStorage returns where a config means files to be, which is never auto.
func (c *Config) FileStorage() FileStorage {
	switch {
	case c.Files.Storage != FilesAuto:
		return c.Files.Storage
	case c.Files.S3.Endpoint != "":
		return FilesOnS3
	case c.Store.Engine() == "sqlite":
		return FilesOnDisk
	default:
		return FilesOff
	}
}

// FilesDir returns the directory of files on disk.
func (c *Config) FilesDir() string {
	if c.Files.Dir != "" {
		return c.Files.Dir
	}
	return filepath.Join(c.DataDir, "files")
}

var (
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^[0-9A-Za-z_-]*(/[0-9A-Za-z_-]+)*$`)
)

// files holds what no tag can say about the section.
func (l *loader) files(c *Config) {
	f := &c.Files
	if f.FileBytes > f.MeshBytes/2 {
		l.invalid([]string{"files.file_bytes", "files.mesh_bytes"}, "is %d, and must not be above half of files.mesh_bytes (%d), which is what a member may have",
			f.FileBytes, f.MeshBytes)
	}
	if c.FileStorage() != FilesOnS3 {
		return
	}
	s := &f.S3
	switch {
	case s.Endpoint == "":
		l.invalid([]string{"files.s3.endpoint", "files.storage"}, "is missing: say host or host:port, such as minio:9000, or choose another files.storage")
	case strings.ContainsAny(s.Endpoint, "/?#@ "):
		l.invalid([]string{"files.s3.endpoint"}, "must be host or host:port without a scheme, which files.s3.tls says; got %s", show(s.Endpoint))
	}
	if s.AccessKey == "" || s.SecretKey == "" {
		l.invalid([]string{"files.s3.access_key", "files.s3.secret_key", "files.storage"}, "and files.s3.secret_key are both needed to use files.s3")
	}
	if !bucketForm.MatchString(s.Bucket) {
		l.invalid([]string{"files.s3.bucket"}, "must have 3 to 63 small letters, digits, dots and hyphens; got %s", show(s.Bucket))
	}
	if !prefixForm.MatchString(s.Prefix) || len(s.Prefix) > 128 {
		l.invalid([]string{"files.s3.prefix"}, "must be letters, digits, _ and -, with slashes between; got %s", show(s.Prefix))
	}
}

// minioForm adds the port that the original takes where none is given.
func minioForm(text string) (string, error) {
	if _, _, err := net.SplitHostPort(text); err == nil || text == "" {
		return text, nil
	}
	return net.JoinHostPort(strings.Trim(text, "[]"), "9000"), nil
}

// plainForm is what MINIO_ENDPOINT says of TLS: the original speaks without, unless
// MINIO_USE_SSL says otherwise.
func plainForm(string) (string, error) { return "false", nil }

// sslForm reads MINIO_USE_SSL, whose empty value is false.
func sslForm(text string) (string, error) {
	switch text {
	case "true", "false":
		return text, nil
	case "":
		return "false", nil
	}
	return "", fmt.Errorf("must be true, false or empty; got %s", show(text))
}
