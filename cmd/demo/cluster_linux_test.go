package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"payonce/internal/lab/runfile"
)

func TestOfAClusterEachPartComesBackAndTheStandbyTakesOver(t *testing.T) {
	t.Parallel()
	d := launch(t, folder(t), "--cluster")
	before := d.run(t)
	names := []string{
		"api", "api-2", "postgres", "rabbitmq", "rabbitmq-2", "rabbitmq-3", "relay", "relay-2", "simulator", "standby", "worker", "worker-2",
	}
	for _, name := range names {
		if !runs(before.Pids[name]) {
			t.Fatalf("run.json says that %s is %d, which does not run", name, before.Pids[name])
		}
	}
	if len(before.Pids) != len(names) || len(before.AdminURLs) != 6 || len(before.URLs) != 2 || before.URLs[0] != before.URL {
		t.Errorf("run.json names %d parts, %d doors and %q", len(before.Pids), len(before.AdminURLs), before.URLs)
	}
	if strings.Count(before.AMQPURL, "amqp://") != 3 {
		t.Error("run.json does not have three nodes of RabbitMQ")
	}
	for _, name := range []string{"rabbitmq-3", "api-2", "postgres"} {
		if err := syscall.Kill(before.Pids[name], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.line(t, fmt.Sprintf("%s (pid %d) was killed by SIGKILL, restarting", name, before.Pids[name]))
	}
	eventually(t, "all run, two of them for the first time, and the standby is the primary", func() bool {
		now, err := runfile.Read(d.dir)
		return err == nil && now.Pids["postgres"] == before.Pids["standby"] && !slices.ContainsFunc(names, func(name string) bool {
			return !runs(now.Pids[name])
		})
	})
	if after := d.run(t); after.PostgresDSN != before.PostgresDSN || after.AMQPURL != before.AMQPURL {
		t.Error("a failover changed an address")
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.line(t, "stopped; nothing of it runs any more")
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("a demo that is asked to stop ends well, got %v", err)
	}
	eventually(t, "nothing of the demo runs", func() bool { return len(processesWith(t, d.dir)) == 0 })
	if _, err := os.Stat(runfile.Path(d.dir)); !os.IsNotExist(err) {
		t.Errorf("run.json outlives the demo: %v", err)
	}
}
