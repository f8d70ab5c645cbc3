//go:build unix

package devstack

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestALockWhoseReleaseWasForgottenIsStillHeldAfterFiveCollections(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := Lock(path); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
		<-time.After(10 * time.Millisecond) // finalizers run on a goroutine of their own
	}
	release, err := Lock(path)
	if !errors.Is(err, ErrInUse) {
		if err == nil {
			release()
		}
		t.Errorf("a second lock got %v, want ErrInUse", err)
	}
}

func TestAPortIsGivenOnceAlsoWhileNobodyListensThere(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 50 {
		port, err := FreePort(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("%d was given twice", port)
		}
		given[port] = true
		if _, err := reserve(port); !errors.Is(err, ErrInUse) {
			t.Errorf("%d is not kept: %v", port, err)
		}
		if !reserved(port) {
			t.Errorf("a stack would take %d", port)
		}
	}
}
