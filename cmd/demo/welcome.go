package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"payonce/internal/lab/runfile"
)

// welcome says where everything is.
func (d *demo) welcome() {
	d.say("")
	d.say("  The shop    " + d.file.URL)
	if d.file.DevURL != "" {
		d.say("  from source " + d.file.DevURL)
	}
	d.say("  Mailbox     " + d.file.MailboxURL)
	d.say("  Simulator   " + d.file.SimulatorURL)
	d.say("  Postgres    psql \"$(jq -r .postgres_dsn " + runfile.Path(d.cfg.DataDir) + ")\"") // a password is not for the room
	d.say("  Addresses   " + runfile.Path(d.cfg.DataDir))
	d.say("  Logs        " + filepath.Join(d.cfg.DataDir, "log", "*.log"))
	d.say("  Terminal    go run ./cmd/payonce")
	d.say("")
	if d.open() {
		d.say("OPEN TO THE NETWORK: everybody who reaches " + d.addr.listen + " can pay, and can kill and freeze its processes.")
		d.say("")
	}
	d.say("Kill what you like, it comes back. Ctrl-C stops everything; the data stay.")
	if !d.cfg.NoBrowser {
		openBrowser(d.file.URL)
	}
}

// openBrowser tries once; whoever has no desktop reads the address.
func openBrowser(url string) {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	browser := exec.CommandContext(context.Background(), opener, url)
	if browser.Start() == nil {
		go func() { _ = browser.Wait() }() // whether it worked, the person sees
	}
}
