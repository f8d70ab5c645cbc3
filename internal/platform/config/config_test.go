package config_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/platform/config"
)

var enough = []string{"--postgres-dsn=postgres://h/d", "--provider-url=http://h"}

func TestEveryMistakeIsReportedAtOnceWithItsRemedy(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := config.Parse("api", "", &config.API{}, append(enough, "--lease=5s", "--key-ttl=1h", "--listen=nowhere", "--pool-size=0"), &out)
	require.Error(t, err)
	for _, part := range []string{"PAYONCE_LEASE (5s) must be at least", "PAYONCE_KEY_TTL", "PAYONCE_LISTEN", "PAYONCE_POOL_SIZE"} {
		require.ErrorContains(t, err, part)
	}
}

func TestProductionRefusesDefaultSecretsAndTheSimulatedProvider(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := config.Parse("api", "", &config.API{}, append(enough, "--mode=production"), &out)
	require.ErrorContains(t, err, "PAYONCE_SECRET")
	require.ErrorContains(t, err, "PAYONCE_OPERATOR_TOKEN")
	require.ErrorContains(t, err, "simulated")
}

func TestTheDefaultsHoldTogether(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, config.Parse("api", "", &config.API{}, enough, &out))
	require.NoError(t, config.Parse("worker", "", &config.Worker{}, append(enough, "--amqp-url=amqp://h", "--smtp-addr=h:25"), &out))
	require.NoError(t, config.Parse("relay", "", &config.Relay{}, []string{"--postgres-dsn=postgres://h/d", "--amqp-url=amqp://a,amqp://b"}, &out))
}

func TestHelpListsEachSettingWithItsVariableAndIsNotAnError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.ErrorIs(t, config.Parse("api", "about", &config.API{}, []string{"--help"}, &out), config.ErrHelp)
	require.Contains(t, out.String(), "$PAYONCE_PROVIDER_DEADLINE")
	require.Contains(t, out.String(), "PAYONCE_POSTGRES_DSN")
}
