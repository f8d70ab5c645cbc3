package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// StartScratch starts a stack for tests in the first folder that no other
// launcher uses, so that several test binaries can each have one and a killed
// one leaves at most a folder, which the next run empties.
func StartScratch(ctx context.Context, options Options) (*Stack, error) {
	options.Scratch = true
	root := filepath.Join(scratchPlace(), fmt.Sprintf("payonce-test-%d", os.Geteuid()))
	if err := ownFolder(root); err != nil {
		return nil, err
	}
	for slot := range 64 {
		options.Dir = filepath.Join(root, fmt.Sprintf("slot-%02d", slot))
		stack, err := Start(ctx, options)
		if !errors.Is(err, ErrInUse) {
			return stack, err
		}
	}
	return nil, fmt.Errorf("%w: all of %s", ErrInUse, root)
}

// ownFolder makes a folder under a name that everybody can guess, in a place
// where everybody may write, and refuses one that somebody else made.
func ownFolder(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("folder for tests: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("folder for tests: %w", err)
	}
	if !info.IsDir() || !ownedByUs(info) {
		return fmt.Errorf("%s is somebody else's: remove it or set TMPDIR", path)
	}
	return nil
}

// The variables by which a runner hands one stack to many test binaries; see
// devtest, which reads them.
const (
	TestPostgresDSN = "PAYONCE_TEST_POSTGRES_DSN"
	TestAMQPURL     = "PAYONCE_TEST_AMQP_URL"
	TestBrokerAPI   = "PAYONCE_TEST_BROKER_API"
	// Where the services' own logs are until the stack ends.
	TestLogs = "PAYONCE_TEST_LOGS"
	// Those of the module once, which knows nothing of this one.
	OnceTestPostgres = "ONCE_TEST_POSTGRES"
	OnceTestAMQP     = "ONCE_TEST_AMQP"
	OnceTestAMQPAPI  = "ONCE_TEST_AMQP_API"
)

// TestEnvironment is how to hand this stack to test binaries.
func (s *Stack) TestEnvironment() []string {
	return []string{
		TestPostgresDSN + "=" + s.PostgresDSN("postgres"),
		TestAMQPURL + "=" + s.AMQPURL("/"),
		TestBrokerAPI + "=" + s.BrokerAPI(),
		TestLogs + "=" + filepath.Join(s.Dir(), "log"),
		OnceTestPostgres + "=" + s.PostgresDSN("postgres"),
		OnceTestAMQP + "=" + s.AMQPURL("/"),
		OnceTestAMQPAPI + "=" + s.BrokerAPI(),
	}
}
