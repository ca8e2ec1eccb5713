// Package diagram lays out and draws what a report shows as pictures: the map of an organisation's accounts with the trusts
// between them, and the ways that lead from outside to what matters.
//
// It is pure: nodes and edges in, SVG out. The layout is made for reading, not for beauty in the large: nodes stand in
// columns, every edge enters its target at a port of its own, and its number stands before that port, so that no
// text lies on another. Colours come from the style sheet in Style, light and dark; whatever a colour says is also said by
// a shape or a word.
package diagram

// MaxNodes is how many nodes a picture can carry and still be read. Map groups accounts by unit beyond it.
const MaxNodes = 150

// Kind says what a node is. It decides its outline.
type Kind uint8

const (
	Inside  Kind = iota // an account of the organisation, a role or a resource in one
	Outside             // an account outside it, or of which nobody knows
	Issuer              // an identity provider
	Anyone              // the public
	Service             // AWS services
	Group               // several accounts drawn as one
)

var kindClasses = [...]string{"inside", "outside", "issuer", "anyone", "service", "group"}

// Node is a thing in a picture.
type Node struct {
	ID    string
	Label string // the first line
	Sub   string // the second, smaller
	Kind  Kind
	// Unit names the box that the node stands in; "" for none. Only nodes of kind Inside and Group are boxed.
	Unit string
	// Severity is the worst severity ("critical" … "info"), "" for none; Badge the text beside its sign.
	Severity string
	Badge    string
	// Href makes the node a link.
	Href string
	// Title is the whole name, shown on hovering and read aloud.
	Title string
}

// Edge is a connection between two nodes, by their IDs. Edges of nodes that are not there are left out.
type Edge struct {
	From, To string
	// Label stands before the edge's end: how many trusts, or the call.
	Label string
	// Possible: conditions are left over; drawn dashed.
	Possible bool
	Title    string
}

// Picture is a finished layout.
type Picture struct {
	Width, Height int
	// Label says in a sentence what the picture shows, for those who do not see it.
	Label string
	// Note says what was drawn together because there is too much of it, "" where everything is drawn.
	Note string

	gutter int // between columns
	units  []box
	nodes  []placed
	curves []curve
}

// box is the frame of a unit.
type box struct {
	x, y, w, h int
	label      string
}

// placed is a node with its place.
type placed struct {
	*Node
	column     int
	x, y, w, h int
	ports      map[side][]int // indexes of edges that enter, by side, in order from the top
	leaves     map[side]bool  // whether edges leave on the side
}

func (p *placed) middle() int { return p.y + p.h/2 }

// side is where an edge touches a node.
type side uint8

const (
	left side = iota
	right
)

// curve is an edge with its course.
type curve struct {
	*Edge
	outside        bool // begins at a node outside
	x1, y1, x2, y2 int
	from, to       side
}
