//go:build !linux

package doctor

import "errors"

func diskOf(string) (Disk, error) { return Disk{}, errors.ErrUnsupported }
