package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"payonce/internal/platform/config"
)

// assignment is one line of .env.example; a leading # marks a default.
var assignment = regexp.MustCompile(`^(#?)(PAYONCE_[A-Z0-9_]+)=(.*)$`)

func TestTheExampleEnvironmentNamesEverySettingOnceWithItsDefault(t *testing.T) {
	t.Parallel()
	known, named := everySetting(t), map[string]bool{}
	for line := range strings.Lines(read(t, ".env.example")) {
		match := assignment.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		isDefault, name, value := match[1] == "#", match[2], match[3]
		setting, ok := known[name]
		switch {
		case !ok:
			t.Errorf("%s is read by no process", name)
		case named[name]:
			t.Errorf("%s stands there twice", name)
		case isDefault == setting.required:
			t.Errorf("%s: required is %v, commented out is %v", name, setting.required, isDefault)
		case isDefault && value != setting.fallback:
			t.Errorf("%s shows the default %q, the struct says %q", name, value, setting.fallback)
		}
		named[name] = true
	}
	for name := range known {
		if !named[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// The processes start with the example's values as they stand.
func TestTheExampleEnvironmentStartsEveryProcess(t *testing.T) {
	given := map[string]string{}
	for line := range strings.Lines(read(t, ".env.example")) {
		if match := assignment.FindStringSubmatch(strings.TrimSpace(line)); match != nil && match[1] == "" {
			given[match[2]] = match[3]
		}
	}
	for _, process := range processes {
		t.Run(process, func(t *testing.T) {
			if err := start(t, process, given); err != nil {
				t.Error(err)
			}
		})
	}
}

func everySetting(t *testing.T) map[string]setting {
	t.Helper()
	all := map[string]setting{}
	for _, process := range processes {
		for name, each := range settings(t, process) {
			each.fallback = os.Expand(each.fallback, func(name string) string { return config.Defaults()[name] })
			if twin, ok := all[name]; ok && twin != each {
				t.Errorf("%s means one thing to %s and another elsewhere: %+v, %+v", name, process, each, twin)
			}
			all[name] = each
		}
	}
	return all
}
