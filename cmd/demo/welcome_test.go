package main

import (
	"strings"
	"testing"
)

func TestADemoThatIsOpenToTheNetworkSaysSo(t *testing.T) {
	t.Parallel()
	for listen, open := range map[string]bool{"0.0.0.0:8080": true, ":8080": true, "192.0.2.1:8080": true, "127.0.0.1:8080": false, "localhost:8080": false} {
		var said strings.Builder
		d := &demo{cfg: config{NoBrowser: true}, addr: addresses{listen: listen}, say: func(line string) { said.WriteString(line + "\n") }}
		d.welcome()
		if strings.Contains(said.String(), "OPEN TO THE NETWORK") != open {
			t.Errorf("%s:\n%s", listen, said.String())
		}
	}
}
