package main

import (
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	barColour   = color.RGBA{R: 0x9d, G: 0xb8, B: 0xdc, A: 0xff}
	roundColour = color.RGBA{R: 0x1b, G: 0x2a, B: 0x41, A: 0xff}
)

// drawResult draws a bar for each contender's median and a dot for each round, so
// that the noise is seen with the number.
func drawResult(r result) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = r.Title
	p.Y.Label.Text = r.Unit
	p.Y.Min = 0
	p.BackgroundColor = color.White
	names := make([]string, len(r.Contenders))
	for i, s := range r.Contenders {
		names[i] = s.Name
		rates := s.values(r.value)
		bar, err := plotter.NewBarChart(plotter.Values{spreadOf(rates).Median}, vg.Points(46))
		if err != nil {
			return nil, err
		}
		bar.XMin, bar.Color, bar.LineStyle.Width = float64(i), barColour, 0
		dots := make(plotter.XYs, len(rates))
		for round, rate := range rates {
			// Side by side in the order of the rounds: a drift shows.
			dots[round].X = float64(i) + 0.24*(float64(round)/float64(max(1, len(rates)-1))-0.5)
			dots[round].Y = rate
		}
		rounds, err := plotter.NewScatter(dots)
		if err != nil {
			return nil, err
		}
		rounds.Shape, rounds.Color, rounds.Radius = draw.CircleGlyph{}, roundColour, vg.Points(2)
		p.Add(bar, rounds)
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{Y: 0xdd}
	p.Add(grid)
	return p, nil
}

const width, height = 16 * vg.Centimeter, 9 * vg.Centimeter

// drawSVG writes the picture as SVG.
func drawSVG(to io.Writer, r result) error {
	p, err := drawResult(r)
	if err != nil {
		return err
	}
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	_, err = canvas.WriteTo(to)
	return err
}
