// Package typescript has the files of the TypeScript SDK, for who makes a plugin
// with them.
package typescript

import "embed"

// Files are what a plugin needs of the SDK: its sources, and how to build it.
//
//go:embed README.md build.mjs package.json package-lock.json tsconfig.json .npmrc src proto
var Files embed.FS
