package daemon

import (
	"context"
	"time"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// drillPatience is how long a drill may take.
const drillPatience = 30 * time.Second

// drill rehearses taking back at an entry's target, and keeps what it found.
func (d *Daemon) drill(ctx context.Context, entry, by string) (*wire.Drill, error) {
	e, _, _, err := d.rules.Entry(ctx, entry)
	switch {
	case err != nil:
		return nil, err
	case e == nil || !crosses(e):
		return nil, broker.ErrNotFound
	}
	asked, cancel := context.WithTimeout(ctx, drillPatience)
	defer cancel()
	id := newID()
	drill := broker.Drill{ID: id, Entry: e.Name, Role: e.To.Role, By: by, Found: d.revoker.Drill(asked, e.To.Role, id), At: d.clock.Now().UTC().Truncate(time.Microsecond)}
	if err := d.store.KeepDrill(ctx, drill); err != nil {
		return nil, err
	}
	return d.showDrill(&drill), nil
}

func (d *Daemon) showDrill(last *broker.Drill) *wire.Drill {
	at := last.At
	return &wire.Drill{Entry: last.Entry, Role: last.Role, By: last.By, At: &at, Due: d.clock.Now().Sub(last.At) > broker.DrillEvery, Found: append([]string{}, last.Found...)}
}

// crosses reports whether the broker lets an entry cross: it leads to a role, and says what may be done there.
func crosses(e *registry.Entry) bool {
	return e.To.Role != "" && len(e.Actions) > 0 && len(e.Resources) > 0
}

// drills are the last drill of each entry that the broker lets cross. One at a role that the entry does not lead to any more is none.
func (d *Daemon) drills(ctx context.Context) ([]wire.Drill, error) {
	all, _, err := d.rules.current(ctx)
	if err != nil {
		return nil, err
	}
	list, err := d.store.Drills(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]*broker.Drill)
	for i := range list {
		known[list[i].Entry] = &list[i]
	}
	out := []wire.Drill{}
	for i := range all.Entries {
		e := &all.Entries[i]
		if !crosses(e) {
			continue
		}
		if last := known[e.Name]; last != nil && last.Role == e.To.Role {
			out = append(out, *d.showDrill(last))
		} else {
			out = append(out, wire.Drill{Entry: e.Name, Role: e.To.Role, Due: true, Found: []string{}})
		}
	}
	return out, nil
}
