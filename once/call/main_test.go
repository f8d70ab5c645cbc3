package call_test

import (
	"testing"

	"payonce/once/oncetest"
)

func TestMain(m *testing.M) { oncetest.Main(m) }
