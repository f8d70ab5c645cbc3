package screen

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table writes rows under their heads. Where the screen is narrower the widest
// columns are wrapped.
func (s *Screen) Table(heads []string, rows [][]Cell) {
	w := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = true
	w.SetStyle(style)
	widths, words := make([]int, len(heads)), make([]int, len(heads))
	head := make(table.Row, 0, len(heads))
	for i, name := range heads {
		widths[i] = text.StringWidthWithoutEscSequences(name)
		words[i] = longestWord(name)
		head = append(head, s.paint(In(Strong, name)))
	}
	w.AppendHeader(head)
	for _, cells := range rows {
		row := make(table.Row, 0, len(cells))
		for i, cell := range cells {
			widths[i] = max(widths[i], text.LongestLineLen(Plain(cell.Text)))
			words[i] = max(words[i], longestWord(Plain(cell.Text)))
			row = append(row, s.paint(cell))
		}
		w.AppendRow(row)
	}
	fit(widths, words, s.width)
	columns := make([]table.ColumnConfig, 0, len(heads))
	for i := range heads {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: widths[i], WidthMaxEnforcer: text.WrapSoft})
	}
	w.SetColumnConfigs(columns)
	fmt.Fprintln(s.out, w.Render())
}

func longestWord(s string) (longest int) {
	for _, word := range strings.Fields(s) {
		longest = max(longest, text.StringWidthWithoutEscSequences(word))
	}
	return longest
}

// fit takes from the widest column that can give until all fit into the screen.
// No column becomes narrower than its longest word: an id that is cut cannot be
// copied. What then still does not fit runs over.
func fit(widths, words []int, screen int) {
	if screen == 0 {
		return
	}
	total := 2 * len(widths) // a blank at either side of each
	for _, w := range widths {
		total += w
	}
	for ; total > screen; total-- {
		widest := -1
		for i, w := range widths {
			if w > words[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
