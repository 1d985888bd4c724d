package reload

import (
	"os"
	"path/filepath"
	"strings"
)

// maxTrail bounds the symbolic links that are followed, as the system does.
const maxTrail = 40

// trail returns every place whose change can make another file of path: path
// itself, each symbolic link on the way, and the file at the end. A mounted
// ConfigMap has two links: the file's, and that of the directory ..data, which
// is the one that is replaced.
func trail(path string) (places []string) {
	places = append(places, path)
	for range maxTrail {
		link, end := firstLink(path)
		if link == "" {
			break
		}
		places = append(places, link)
		path = end
	}
	return append(places, path)
}

// firstLink returns the first part of an absolute path that is a symbolic link,
// and the path with that link followed.
func firstLink(path string) (link, followed string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		target, err := os.Readlink(path[:i])
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path[:i]), target)
		}
		return path[:i], filepath.Join(target, strings.TrimPrefix(path[i:], string(filepath.Separator)))
	}
	return "", ""
}
