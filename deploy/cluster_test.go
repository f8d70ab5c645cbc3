package deploy_test

import (
	"slices"
	"strings"
	"testing"
)

func TestTheProfileClusterHasThreeNodesThatAreOneAndNothingElseNeedsThem(t *testing.T) {
	t.Parallel()
	file := readCompose(t)
	join := read(t, "deploy/rabbitmq/join.conf")
	first := file.Services["rabbitmq"]
	for _, name := range []string{"rabbitmq", "rabbitmq-2", "rabbitmq-3"} {
		node := file.Services[name]
		if node.Image != first.Image || node.Environment["RABBITMQ_ERLANG_COOKIE"] == "" || node.Environment["RABBITMQ_ERLANG_COOKIE"] != first.Environment["RABBITMQ_ERLANG_COOKIE"] {
			t.Errorf("%s does not have the first one's version and cookie", name)
		}
		if node.Hostname != name || !strings.Contains(join, "rabbit@"+name+"\n") {
			t.Errorf("the others look for rabbit@%s, which is called %q", name, node.Hostname)
		}
		if !slices.Contains(node.Networks["default"].Aliases, "brokers") {
			t.Errorf("no program finds %s", name)
		}
		if !slices.Contains(node.Volumes, "./deploy/rabbitmq/node.conf:/etc/rabbitmq/conf.d/20-node.conf:ro") {
			t.Errorf("%s lacks what every node must have alike", name)
		}
		joins := slices.Contains(node.Volumes, "./deploy/rabbitmq/join.conf:/etc/rabbitmq/conf.d/30-join.conf:ro")
		if inProfile := slices.Equal(node.Profiles, []string{"cluster"}); joins != inProfile || inProfile != (name != "rabbitmq") {
			t.Errorf("%s joins: %v, its profiles are %v", name, joins, node.Profiles)
		}
	}
	for name, each := range file.Services {
		for on := range each.DependsOn {
			if len(each.Profiles) == 0 && len(file.Services[on].Profiles) > 0 {
				t.Errorf("%s waits for %s, which runs in a profile only", name, on)
			}
		}
	}
	for _, setting := range []string{"net_ticktime = ", "cluster_partition_handling = pause_minority", "queue_leader_locator = balanced", "continuous_membership_reconciliation.enabled = true"} {
		if !strings.Contains(read(t, "deploy/rabbitmq/node.conf"), setting) {
			t.Errorf("the nodes' configuration lacks %s", setting)
		}
	}
}
