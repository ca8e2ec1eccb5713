package broker

import (
	"context"
	"time"
)

// Drill is a rehearsal of taking back, at one entry's target: a deny of a source identity that nobody has is put there, read back and removed, and what the revoker must not be able to do is tried (33). That AWS acts by a deny it does not show.
type Drill struct {
	ID    string    `json:"id"`
	Entry string    `json:"entry"`
	Role  string    `json:"role"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	// Found is what is wrong, in words; nothing where access could be taken back, and the revoker can do nothing else of what was tried.
	Found []string `json:"found"`
}

// DrillEvery is how old a drill may be before it is due again.
const DrillEvery = 90 * 24 * time.Hour

// Drills keeps the last drill of each entry.
type Drills interface {
	KeepDrill(ctx context.Context, d Drill) error
	// Drills are the last ones, by entry.
	Drills(ctx context.Context) ([]Drill, error)
}

// DrillDone: taking back was rehearsed.
type DrillDone struct {
	Drill Drill `json:"drill"`
}

func (DrillDone) Kind() string { return "drill.done" }
