package diagram

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Style is the style sheet of the pictures. A page that carries pictures puts it into its own; WriteStandalone puts
// it into the file.
const Style = `.db-picture{--db-paper:#ffffff;--db-ink:#1b2330;--db-soft:#5b6778;--db-box:#f4f6f9;--db-rim:#d5dbe3;--db-node:#ffffff;--db-line:#7b8aa0;--db-in:#2f6f9f;--db-out:#b4530a;--db-critical:#b00020;--db-high:#c2410c;--db-medium:#8a6100;--db-low:#1f6f8b;--db-info:#5b6778;font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;max-width:100%;height:auto}
@media (prefers-color-scheme:dark){.db-picture{--db-paper:#11161d;--db-ink:#e6ebf2;--db-soft:#9aa7b8;--db-box:#171e28;--db-rim:#2c3746;--db-node:#1e2733;--db-line:#7f8ea3;--db-in:#6db3e0;--db-out:#f0a35e;--db-critical:#ff6b7d;--db-high:#ff935c;--db-medium:#e3b341;--db-low:#6cc4dd;--db-info:#9aa7b8}}
@media print{.db-picture{--db-paper:#fff;--db-ink:#000;--db-soft:#444;--db-box:#fafafa;--db-rim:#bbb;--db-node:#fff;--db-line:#666;--db-in:#235d88;--db-out:#9a4408;--db-critical:#b00020;--db-high:#b23b0a;--db-medium:#7a5600;--db-low:#1f6f8b;--db-info:#555}}
.db-picture .unit rect{fill:var(--db-box);stroke:var(--db-rim)}
.db-picture .unit text{fill:var(--db-soft);paint-order:stroke;stroke:var(--db-box);stroke-width:4px;stroke-linejoin:round;font-size:11px;font-weight:600;letter-spacing:.04em}
.db-picture .node rect{fill:var(--db-node);stroke:var(--db-line)}
.db-picture .node.outside rect{stroke:var(--db-out);stroke-dasharray:5 3}
.db-picture .node.issuer rect{stroke:var(--db-out)}
.db-picture .node.anyone rect{stroke:var(--db-critical);stroke-width:2.5}
.db-picture .node.service rect{stroke:var(--db-soft);stroke-dasharray:2 3}
.db-picture .node.group rect{stroke-width:2.5}
.db-picture .node:hover rect,.db-picture a:focus rect{stroke-width:2.5}
.db-picture .name{fill:var(--db-ink);font-size:13px;font-weight:600}
.db-picture .sub{fill:var(--db-soft);font-size:11px}
.db-picture .badge{font-size:11px;font-weight:600}
.db-picture .critical{fill:var(--db-critical)}.db-picture .high{fill:var(--db-high)}.db-picture .medium{fill:var(--db-medium)}.db-picture .low{fill:var(--db-low)}.db-picture .info{fill:var(--db-info)}
.db-picture .edge path{fill:none;stroke:var(--db-in);stroke-width:1.5;stroke-opacity:.75}
.db-picture .edge.outside path{stroke:var(--db-out)}
.db-picture .edge.possible path{stroke-dasharray:6 4}
.db-picture .edge .tip{fill:var(--db-in);stroke:none}
.db-picture .edge.outside .tip{fill:var(--db-out)}
.db-picture .edge rect{fill:var(--db-paper);stroke:var(--db-rim)}
.db-picture .edge text{fill:var(--db-ink);font-size:11px;text-anchor:end}
`

// WriteSVG writes the picture as an element for a page that carries Style.
func (p *Picture) WriteSVG(w io.Writer) error { return p.write(w, "") }

// WriteStandalone writes the picture as a file of its own.
func (p *Picture) WriteStandalone(w io.Writer) error { return p.write(w, Style) }

func (p *Picture) write(w io.Writer, style string) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" class="db-picture" role="img" width="%d" height="%d" viewBox="0 0 %d %d"`, p.Width, p.Height, p.Width, p.Height)
	if p.Label != "" {
		fmt.Fprintf(out, ` aria-label="%s"`, escape(p.Label))
	}
	out.WriteString(">\n")
	if style != "" {
		fmt.Fprintf(out, "<style>%s</style>\n", style)
	}
	for _, b := range p.units {
		fmt.Fprintf(out, `<g class="unit"><rect x="%d" y="%d" width="%d" height="%d" rx="8"/></g>`+"\n", b.x, b.y, b.w, b.h)
	}
	for i := range p.curves {
		p.curves[i].line(out)
	}
	for _, b := range p.units {
		fmt.Fprintf(out, `<g class="unit"><text x="%d" y="%d">%s</text></g>`+"\n", b.x+unitPad, b.y+16, escape(fitEnd(b.label, b.w-2*unitPad, 70)))
	}
	for i := range p.nodes {
		p.nodes[i].draw(out)
	}
	for i := range p.curves {
		p.curves[i].end(out, p.gutter-46)
	}
	out.WriteString("</svg>\n")
	return out.Flush()
}

// tip is the length of an arrow's head.
const tip = 8

func (c *curve) class() string {
	class := "edge"
	if c.outside {
		class += " outside"
	}
	if c.Possible {
		class += " possible"
	}
	return class
}

func (c *curve) line(out *bufio.Writer) {
	fmt.Fprintf(out, `<g class="%s">`, c.class())
	if c.Title != "" {
		fmt.Fprintf(out, "<title>%s</title>", escape(c.Title))
	}
	x2 := c.x2 - tip
	if c.to == right {
		x2 = c.x2 + tip
	}
	var a, b int
	switch {
	case c.from == right && c.to == left:
		d := max(60, (x2-c.x1)/2)
		a, b = c.x1+d, x2-d
	case c.from == left && c.to == right:
		d := max(60, (c.x1-x2)/2)
		a, b = c.x1-d, x2+d
	default:
		d := c.bulge() * 4 / 3
		a, b = c.x1+d, x2+d
	}
	fmt.Fprintf(out, `<path d="M%d %dC%d %d %d %d %d %d"/></g>`+"\n", c.x1, c.y1, a, c.y1, b, c.y2, x2, c.y2)
}

// end draws an edge's arrow head and the label before it, at most room wide; they come after the nodes, so that nothing
// covers them.
func (c *curve) end(out *bufio.Writer, room int) {
	fmt.Fprintf(out, `<g class="%s">`, c.class())
	way := -1
	if c.to == right {
		way = 1
	}
	fmt.Fprintf(out, `<path class="tip" d="M%d %dl%d -4v8z"/>`, c.x2, c.y2, way*tip)
	if c.Label != "" {
		text := fitEnd(c.Label, room, 65)
		w := textWidth(text, 65) + 10
		x := c.x2 - tip - 3 - w
		if c.to == right {
			x = c.x2 + tip + 3
		}
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="15" rx="7"/><text x="%d" y="%d">%s</text>`, x, c.y2-8, w, x+w-5, c.y2+4, escape(text))
	}
	out.WriteString("</g>\n")
}

func (p *placed) draw(out *bufio.Writer) {
	if p.Href != "" {
		fmt.Fprintf(out, `<a href="%s">`, escape(p.Href))
	}
	fmt.Fprintf(out, `<g class="node %s">`, kindClasses[p.Kind])
	if p.Title != "" {
		fmt.Fprintf(out, "<title>%s</title>", escape(p.Title))
	}
	radius := 6
	if p.Kind == Outside || p.Kind == Issuer || p.Kind == Anyone || p.Kind == Service {
		radius = 18
	}
	fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, p.x, p.y, p.w, p.h, radius)
	lines := nodeHeight
	if p.Badge != "" {
		lines += badgeLine
	}
	x, y := p.x+14, p.y+(p.h-lines)/2
	fmt.Fprintf(out, `<text class="name" x="%d" y="%d">%s</text>`, x, y+20, escape(fit(p.Label, p.w-28, 76)))
	fmt.Fprintf(out, `<text class="sub" x="%d" y="%d">%s</text>`, x, y+36, escape(fit(p.Sub, p.w-28, 62)))
	if p.Badge != "" {
		sign(out, p.Severity, x+5, y+50)
		fmt.Fprintf(out, `<text class="badge %s" x="%d" y="%d">%s</text>`, escape(p.Severity), x+16, y+54, escape(fitEnd(p.Badge, p.w-44, 63)))
	}
	out.WriteString("</g>")
	if p.Href != "" {
		out.WriteString("</a>")
	}
	out.WriteString("\n")
}

// sign draws the shape of a severity, of about ten pixels around a point: no severity is told by its colour alone.
func sign(out *bufio.Writer, severity string, x, y int) {
	shape := ""
	switch severity {
	case "critical": // an octagon, like a stop sign
		shape = fmt.Sprintf(`<path class="critical" d="M%d %dh4l3 3v4l-3 3h-4l-3-3v-4z"/>`, x-2, y-5)
	case "high": // a triangle
		shape = fmt.Sprintf(`<path class="high" d="M%d %dl6 10h-12z"/>`, x, y-5)
	case "medium": // a diamond
		shape = fmt.Sprintf(`<path class="medium" d="M%d %dl5 5l-5 5l-5-5z"/>`, x, y-5)
	case "low": // a square
		shape = fmt.Sprintf(`<path class="low" d="M%d %dh8v8h-8z"/>`, x-4, y-4)
	case "info":
		shape = fmt.Sprintf(`<circle class="info" cx="%d" cy="%d" r="4"/>`, x, y)
	}
	out.WriteString(shape)
}

// textWidth estimates the width of a text in pixels, on the safe side; tenth is the mean width of a small letter in tenths of a
// pixel. Capitals are wider, and wide scripts count double.
func textWidth(s string, tenth int) int {
	n := 0
	for _, c := range s {
		switch {
		case c >= 0x1100:
			n += 2 * tenth
		case 'A' <= c && c <= 'Z' || c == '_' || c == 'm' || c == 'w' || c == '@':
			n += tenth * 5 / 4
		default:
			n += tenth
		}
	}
	return n / 10
}

// fit shortens a text in its middle, where names of accounts and roles differ least.
func fit(s string, width, tenth int) string {
	if textWidth(s, tenth) <= width {
		return s
	}
	runes := []rune(s)
	for keep := len(runes) - 1; keep > 1; keep-- {
		head := (keep + 1) / 2
		short := string(runes[:head]) + "…" + string(runes[len(runes)-(keep-head):])
		if textWidth(short, tenth) <= width {
			return short
		}
	}
	return "…"
}

// fitEnd shortens a text at its end.
func fitEnd(s string, width, tenth int) string {
	if textWidth(s, tenth) <= width {
		return s
	}
	runes := []rune(s)
	for keep := len(runes) - 1; keep > 0; keep-- {
		if short := string(runes[:keep]) + "…"; textWidth(short, tenth) <= width {
			return short
		}
	}
	return "…"
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

// escape makes text safe inside SVG; characters that XML does not allow become a replacement character.
func escape(s string) string {
	return escapes.Replace(strings.Map(func(c rune) rune {
		if c < 0x20 && c != '\t' && c != '\n' || c == 0xfffe || c == 0xffff {
			return '\ufffd'
		}
		return c
	}, s))
}
