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
	err = config.Parse("api", "", &config.API{}, append(enough, "--mode=production", "--operator-token=15-characters--"), &out)
	require.ErrorContains(t, err, "PAYONCE_OPERATOR_TOKEN")
	err = config.Parse("api", "", &config.API{}, append(enough, "--mode=production", "--operator-token=16-characters---"), &out)
	require.NotContains(t, err.Error(), "PAYONCE_OPERATOR_TOKEN")
}

func TestSecretsThatStandInTheSourceStayOnLoopback(t *testing.T) {
	t.Parallel()
	own := []string{"--secret=a-secret-of-our-own", "--webhook-secret=whsec_b3VyIG93bg=="}
	for listen, refused := range map[string]bool{"127.0.0.1:80": false, "localhost:80": false, "[::1]:80": false, "0.0.0.0:80": true, ":80": true, "192.0.2.1:80": true} {
		var out bytes.Buffer
		err := config.Parse("api", "", &config.API{}, append(enough, "--listen="+listen), &out)
		require.Equal(t, refused, err != nil, "%s: %v", listen, err)
		if refused {
			require.ErrorContains(t, err, "PAYONCE_SECRET and PAYONCE_WEBHOOK_SECRET")
		}
		require.NoError(t, config.Parse("api", "", &config.API{}, append(append(enough, own...), "--listen="+listen), &out))
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := config.API{}
	require.NoError(t, config.Parse("api", "", &cfg, append(enough, "--trusted-proxies=10.0.0.0/8,192.0.2.1,2001:db8::/32"), &out))
	require.Len(t, cfg.Proxies(), 3)
	require.ErrorContains(t, config.Parse("api", "", &config.API{}, append(enough, "--trusted-proxies=everybody"), &out), "PAYONCE_TRUSTED_PROXIES")
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
