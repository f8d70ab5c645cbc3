package screen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
)

func TestATableFitsAScreenOf60ColumnsByWrappingItsWidestColumn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Screen{out: &out, width: 60}
	long := strings.Repeat("one charge for each payment ", 6)
	s.Table([]string{"id", "statement", "ok"}, [][]Cell{{T("one_charge"), T(long), T("yes")}, {T("x"), T("short"), T("no")}})
	require.Contains(t, out.String(), "one_charge")
	require.Equal(t, 6, strings.Count(out.String(), "payment"), "wrapped and not cut")
	for _, line := range strings.Split(out.String(), "\n") {
		require.LessOrEqual(t, text.StringWidthWithoutEscSequences(line), 60, line)
	}
}

func TestAnIDIsNeverCutHoweverNarrowTheScreen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Screen{out: &out, width: 30}
	s.Table([]string{"letter", "reason"}, [][]Cell{{T("dlt_00000000000000000000000000000000"), T("four words of reason")}})
	require.Contains(t, out.String(), "dlt_00000000000000000000000000000000")
}

func TestNoControlCharacterOfAForeignTextReachesTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Screen{out: &out}
	hostile := "a\x1b[31mred\x07\u009b2J\u202egnp.exe\r"
	s.Line(T(hostile))
	s.Table([]string{"x"}, [][]Cell{{In(Bad, hostile)}})
	require.False(t, strings.ContainsAny(out.String(), "\x1b\x07\u009b\u202e\r"), "%q", out.String())
	require.Contains(t, out.String(), "[31mred")
}
