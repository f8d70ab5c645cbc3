package lesson_test

import (
	"testing"

	"payonce/internal/lab/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }
