// Package web holds the page of the shop as bytes, so that one binary is the
// whole demo.
//
// The user interface in src/ is built by Vite into dist/, which is not kept in
// git. A checkout without Node must still compile and still answer, so a small
// placeholder page that says how to build the real one is kept beside it. The
// choice between the two is made once, when the binary is built: a program
// never looks at the disk.
package web

import (
	"embed"
	"io/fs"
)

// The prefix all: takes dist/.gitkeep along; without any file the pattern would
// match nothing, and a fresh checkout would not compile.
//
//go:embed all:dist placeholder
var files embed.FS

// FS returns the files of the page with index.html at its root: the built user
// interface, or the placeholder when none was built. Files beside it that end
// in .br or .gz are the same bytes compressed in advance.
func FS() fs.FS {
	if Built() {
		return sub("dist")
	}
	return sub("placeholder")
}

// Built reports whether the real user interface is in this binary.
func Built() bool {
	_, err := fs.Stat(files, "dist/index.html")
	return err == nil
}

// sub cannot fail: both folders are part of the embed pattern above, and a
// missing one is a compile error.
func sub(dir string) fs.FS {
	tree, err := fs.Sub(files, dir)
	if err != nil {
		panic("web: embedded folder " + dir + ": " + err.Error())
	}
	return tree
}
